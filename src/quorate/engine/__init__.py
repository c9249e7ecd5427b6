"""I/O that does what core decided: observe, apply, with journal and lock."""
