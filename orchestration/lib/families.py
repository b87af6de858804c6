"""Which rhythm each dbt model is built in, and when that is: data.

A model names its family itself (`meta: {family: fast}` in dbt_project.yml or beside the model); here stands what a
family means. docs/dagster.md says which models are fast and why so few.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from ingest.errors import MeterhouseError


class Family(StrEnum):
    """A rhythm. `seeds` are the small tables people edit: they are built at a deploy and with prices."""

    FAST = "fast"
    HOURLY = "hourly"
    DAILY = "daily"
    SEEDS = "seeds"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a family's schedule builds it. Cron in UTC, whatever the machine's time zone."""

    cron: str
    words: str


TIME_ZONE: Final = "UTC"
RHYTHMS: Final[Mapping[Family, Rhythm]] = {
    Family.FAST: Rhythm("* * * * *", "every minute"),
    Family.HOURLY: Rhythm("7 * * * *", "hourly, seven minutes past; its tables also on arrival"),
    Family.DAILY: Rhythm("40 2 * * *", "daily at 02:40 UTC"),
}
# Marts follow arrivals no closer than this: each build of the current day reads that whole day.
MARTS_AT_MOST_EVERY_S: Final = 300


class _Meta(msgspec.Struct):
    family: str = ""
    bucket: str = ""


class _Config(msgspec.Struct):
    materialized: str = ""
    schema: str = ""
    meta: _Meta = msgspec.field(default_factory=_Meta)


class Node(msgspec.Struct):
    """What is read of a node of dbt's manifest."""

    unique_id: str
    name: str
    resource_type: str
    fqn: list[str] = msgspec.field(default_factory=list)
    config: _Config = msgspec.field(default_factory=_Config)

    @property
    def is_view(self) -> bool:
        return self.config.materialized == "view"

    @property
    def is_bucketed(self) -> bool:
        """Built from whole buckets of time, so that a day of it can be built anew."""
        return self.config.materialized == "bucketed"


def read_node(properties: Mapping[str, object]) -> Node:
    """A node of the manifest, typed."""
    return msgspec.convert(properties, type=Node, strict=False)


def family_of(node: Node) -> Family:
    """Raises MeterhouseError where a model names none, or one that does not exist."""
    if node.resource_type == "seed":
        return Family.SEEDS
    try:
        return Family(node.config.meta.family)
    except ValueError:
        raise MeterhouseError(
            f"The model {node.name} names the family {node.config.meta.family!r}: say fast, hourly or daily in "
            "meta.family, in dbt_project.yml or beside the model."
        ) from None
