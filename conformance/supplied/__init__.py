"""What the sdist of a suite forgot: copied to its place there. (This file too: an empty package.)"""
