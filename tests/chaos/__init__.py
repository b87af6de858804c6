"""Faults under load, and the count after it: `python -m tests.chaos`."""
