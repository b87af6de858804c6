"""Dagster loads where it is said which installation this is; for tests it is dev."""

import os

os.environ["METERHOUSE_ENVIRONMENT"] = "dev"
