"""The models' YAML as dbt keeps it between runs."""

from collections.abc import Iterator
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[3]


def test_every_key_is_text_so_that_dbt_can_read_back_what_it_parsed() -> None:
    """dbt writes a key that is a number to its partial_parse.msgpack and refuses to read it: every run of the project
    then parsed all of it anew, two thirds of what a run cost dbt."""
    files = [*PROJECT.glob("models/**/*.yml"), *PROJECT.glob("seeds/*.yml")]
    assert len(files) > 50
    odd = [
        f"{file.relative_to(PROJECT)}: {key!r}" for file in files for key in _odd_keys(yaml.safe_load(file.read_text()))
    ]
    assert not odd


def _odd_keys(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield key
            yield from _odd_keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _odd_keys(inner)
