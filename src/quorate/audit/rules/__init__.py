"""Rules: one file a subject, with its rows (`RULES`). A row without a red and a green case fails the tests."""
