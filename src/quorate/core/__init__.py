"""The vocabulary, pure: resources, what was observed, their difference, the plan, verdicts, and what a system is."""
