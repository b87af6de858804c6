"""YAML that remembers its lines, so that a mistake is said with the line and the key it stands at.

In: a file's text. Out: plain data, and the line of each key by its path. Anything but plain data, a key said twice, or
text that is no YAML raises RoutesError with one sentence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from ingest.errors import SettingsError

Path = tuple[str | int, ...]


class RoutesError(SettingsError):
    """The file that says who is told is wrong; nothing is sent by it."""


@dataclass(frozen=True)
class Located:
    """`data` is made of dict, list, str, int, float, bool and None; `lines` has the line, from 1, of each path."""

    source: str
    data: object
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of the path, or of the nearest thing around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: Path, sentence: str) -> RoutesError:
        """`sentence` with the file, the line and the key before it."""
        return RoutesError(f"{self.source} line {self.line_of(path)}, {spell(path)}: {sentence}")


def spell(path: Path) -> str:
    """routes[2].match.severity"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


def read(text: str, source: str) -> Located:
    """The text as data with lines."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RoutesError(f"{source} line {line}: this is no YAML ({error.problem}). Correct the file.") from None
    except yaml.YAMLError as error:
        raise RoutesError(f"{source}: this is no YAML ({error}). Correct the file.") from None
    lines: dict[Path, int] = {(): 1}
    data = None if node is None else _plain(node, (), source, lines)
    return Located(source, data, lines)


def _plain(node: yaml.Node, path: Path, source: str, lines: dict[Path, int]) -> object:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise RoutesError(f"{source} line {line}: a key must be a word. Correct the file.")
            key = str(key_node.value)
            if key in found:
                raise RoutesError(f"{source} line {line}: {key} is said twice. Keep one of them.")
            lines[(*path, key)] = line
            found[key] = _plain(value_node, (*path, key), source, lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, number), source, lines) for number, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> object:
    """Numbers, true, false and nothing; all else is text, also what YAML 1.1 takes for 22:30, off and 2026-11-23."""
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        if text in ("", "~", "null"):
            return None
        if text in ("true", "false"):
            return text == "true"
        if re.fullmatch(r"[-+]?\d{1,18}", text):
            return int(text)
        if re.fullmatch(r"[-+]?\d+\.\d+", text):
            return float(text)
    return text
