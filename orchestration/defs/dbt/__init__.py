"""The models, in families by rhythm."""

from dagster import Definitions

definitions = Definitions()
