"""Reads configuration that Quorate did not write, and says what is wrong with it. Pure: texts in, findings out.

::

    Text ──► readers/   one grammar each, every value with its file and line ──► Document (a tree of nodes)
    Documents + versions ──► Estate ──► rules/   small functions, one row each ──► Finding (rule, place, what was seen)

`readers` and `rules` are found by scanning: a new kind of file, or a new rule, is a row in a file there and one in
`cases/` that shows it red and green. `judge.py` is all that happens, from top to bottom.
"""
