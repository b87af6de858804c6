"""The dated price lists."""

from dagster import Definitions

definitions = Definitions()
