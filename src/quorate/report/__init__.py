"""What a drill came to, and what a cloud rests on, for people: pages, pictures, and tables. Pure.

==================  =========================================================
`html.py`           one page for one or several runs, plots included
`text.py`           the same as rich renderables
`campaign.py`       the table of faults and functions, as Markdown and for the terminal
`run.py`            what happened when: moments, lanes, missed bounds, where the time went
`thinning.py`       which of many operations are drawn
`drawing.py`        matplotlib held on a lead: the same input gives the same SVG
`timeline.py` `stages.py` `latency.py`   the three plots
`dependencies.py`   the picture of what rests on what, by `layers.py`, which says where things stand
`words.py`          how figures and verdicts are said
==================  =========================================================

`html.py` loads matplotlib, which takes a second: whoever starts fast imports it only when a page is wanted.
"""
