"""Grammars: one file each, with the kinds of files that are written in it (`KINDS`)."""
