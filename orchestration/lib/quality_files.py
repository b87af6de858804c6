"""Reads the YAML files of orchestration/expectations/ that people edit, into typed structs.

Anything wrong (no such file, bad YAML, a key twice, an unknown or missing key, a value of another kind) raises
SettingsError with one sentence: the file, the key, what was expected and what came.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import yaml

from ingest.errors import SettingsError

FOLDER: Final = Path(__file__).resolve().parents[1] / "expectations"

_T = TypeVar("_T")
# msgspec ends its messages with where it was: " - at `$.consumer_lag.warn_messages`".
_PLACE: Final = re.compile(r"^(?P<words>.*?)(?: - at `(?P<key>[^`]*)`)?$", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} comes twice (line {line})")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(path: Path, kind: type[_T]) -> _T:
    """The file as `kind`, a msgspec Struct that forbids unknown fields."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a SafeLoader, only stricter
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{shown(path)} cannot be read ({error}): put it there.") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{shown(path)} is no valid YAML: {_yaml_words(error)}. Correct it.") from error
    try:
        return msgspec.convert(document, type=kind)
    except msgspec.ValidationError as error:
        raise wrong(path, error, document) from error


def wrong(path: Path, error: msgspec.ValidationError, document: object) -> SettingsError:
    """The one sentence about a value of the file that is not what was expected."""
    found = _PLACE.match(str(error))
    words, place = (found["words"], found["key"] or "$") if found else (str(error), "$")
    key = place.removeprefix("$").removeprefix(".")
    came = _value_at(document, key)
    return SettingsError(
        f"{shown(path)}, key {key or '(the whole file)'}: {words[:1].lower()}{words[1:]}"
        f"{f', came {came}' if came is not None else ''}. Correct it and start again."
    )


def shown(path: Path) -> str:
    """The path as people know it: from the checkout's root where it is inside."""
    root = FOLDER.parents[1]
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _value_at(document: object, key: str) -> str | None:
    """What stands there, shortened; None where nothing does (a missing key is said by the words already)."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        if index and isinstance(document, list) and int(index) < len(document):
            document = document[int(index)]
        elif name and isinstance(document, dict) and name in document:
            document = document[name]
        else:
            return None
    return None if isinstance(document, dict | list) else repr(document)[:80]


def _yaml_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    words = getattr(error, "problem", None) or str(error)
    return f"{words}{f' (line {mark.line + 1})' if mark is not None else ''}".replace("\n", " ")
