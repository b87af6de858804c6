"""`meterhouse demo`: the way through the house taken by Dagster, in this process."""
