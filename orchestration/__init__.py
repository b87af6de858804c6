"""Dagster around the house: when each thing runs, whether it is fresh and right, and who is told when it is not."""
