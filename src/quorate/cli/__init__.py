"""One file for each verb; `render.py` is the only file that prints, `main.py` gathers the verbs."""
