"""What the YAML beside a model says of it, as typed values.

In: a properties file of dbt. Out: its models with owner and columns. A file of another shape raises msgspec's
ValidationError, which names the place.
"""

from pathlib import Path

import msgspec
import yaml


class Column(msgspec.Struct):
    """A column: `data_type` in ClickHouse's words, `description` with its unit."""

    name: str
    description: str = ""
    data_type: str = ""


class _Meta(msgspec.Struct):
    owner: str = ""


class _Config(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


class Model(msgspec.Struct):
    """A model's entry."""

    name: str
    description: str = ""
    config: _Config = msgspec.field(default_factory=_Config)
    columns: list[Column] = msgspec.field(default_factory=list)


class _File(msgspec.Struct):
    models: list[Model] = msgspec.field(default_factory=list)


def read_models(file: Path) -> list[Model]:
    """The models of a file, in its order; none where it only has tests or sources."""
    return msgspec.convert(yaml.safe_load(file.read_text("utf-8")) or {}, type=_File).models
