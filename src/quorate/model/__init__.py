"""The cloud file: its frozen types, how it is read and how it is judged. Pure: text in, values or all problems out.

::

    text ─ source.py ─→ plain data + the line of every key
                          ├─ cloud.py   types, defaults, short forms ─→ explain.py puts its errors into plain words
                          └─ draft.py ─→ rules.py  what no single key shows: duplicates, subnets, votes
         load.py runs all of it and returns a Cloud, or raises every problem at once

`secrets_file.py` does the same for `secrets.yaml`; `schema.py` describes the file for editors and the reference page.
"""
