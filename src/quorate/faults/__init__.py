"""Faults: what is done to a cloud, how it is undone, and how one sees that it took. All of it values."""
