"""What one query is: its kind, its output format, where an insert's data begin.

In: the text of a query, for an insert perhaps only its head. Out: a Statement, and what the engine runs in its place.
The engine would obey several statements in one text; they are refused here with ClickHouse's code, by tokens, so that
strings, comments and quoted names can hold any words. What a statement may do is judged in refusals.py.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from ingest.embedded.clickhouse.errors import ClickHouseError

Kind = Literal["result", "insert_data", "set", "kill", "command"]

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#!?[ ][^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
      |(?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      |(?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
      |(?P<word>[A-Za-z_]\w*)
      |(?P<other>\d\w*(?:\.\w*)?|.)""",
    re.VERBOSE | re.DOTALL,
)
_RESULT = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "FROM", "(", "CHECK"}
_OPEN, _CLOSE = "([{", ")]}"
_LINE_END = re.compile(r"[ \t;]*\r?\n?")
_NO_INPUT = (-1, -1)


class _Word(NamedTuple):
    text: str
    at: int


@dataclass(frozen=True)
class Token:
    """A word, name, string or sign; `text` in upper case where it is a bare word."""

    kind: str
    text: str
    start: int
    end: int
    depth: int


@dataclass(frozen=True)
class Statement:
    """One query. `format` is its own FORMAT clause ('' without). For `insert_data`, data begin at `data_at`."""

    kind: Kind
    verb: str
    text: str
    format: str = ""
    clause_at: int = -1
    data_at: int = -1
    # Where the table function input(…) of an INSERT … SELECT stands, and the brackets behind it begin.
    input_at: int = -1
    input_arguments_at: int = -1

    @property
    def is_read(self) -> bool:
        """Whether a client that may only read can run it."""
        return self.kind in ("result", "kill") or self.verb in ("USE", "SET")

    def into_file(self, path: str, default_format: str) -> str:
        """The same query writing its result, formatted, to `path`; the comment tells a format that is not its own."""
        where = f"\nINTO OUTFILE '{path}' TRUNCATE "
        if self.format:
            return self.text[: self.clause_at] + where + self.text[self.clause_at :]
        return f"{self.text}{where}/**/FORMAT {default_format}"

    def from_file(self, path: str) -> str:
        """The same insert taking its data from `path`; FROM INFILE stands before SETTINGS and FORMAT."""
        head = self.text[: self.data_at].rstrip().removesuffix(";")
        before, rest = head[: self.clause_at], re.sub(r"(?i)\s*\bVALUES$", " FORMAT Values", head[self.clause_at :])
        return f"{before}{'' if before[-1:].isspace() else ' '}FROM INFILE '{path}' COMPRESSION 'none' {rest.lstrip()}"


def tokens(text: str) -> list[Token]:
    """The tokens of a query without space and comments."""
    found, depth = [], 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        kind = "string" if match.group("string") is not None else kind
        if kind is None or kind == "space":
            continue
        raw = match.group()
        if raw in _CLOSE and kind == "other":
            depth -= 1
        found.append(Token(kind, raw.upper() if kind == "word" else raw, match.start(), match.end(), depth))
        if raw in _OPEN and kind == "other":
            depth += 1
    return found


def only_columns(structure: str) -> str:
    """The same text, when it can stand between the brackets of a CREATE TABLE and be no more than its columns."""
    parse(f"CREATE TEMPORARY TABLE x ({structure})")
    if any(token.depth < 0 for token in tokens(structure)):
        raise ClickHouseError(36, "BAD_ARGUMENTS", "Unbalanced brackets in the columns of a table")
    return structure


def parse(text: str) -> Statement:
    """The statement in `text`, which is the whole of it.

    Raises ClickHouseError for an empty query and for several statements.
    """
    found = tokens(text)
    while found and found[-1].text == ";":
        text = text[: found.pop().start]
    if not found:
        raise ClickHouseError(62, "SYNTAX_ERROR", "Syntax error: empty query")
    if any(token.text == ";" and token.kind == "other" for token in found):
        raise ClickHouseError(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
    verb = found[0].text
    if verb == "WITH" and any(a.text == "INSERT" and b.text == "INTO" and a.depth == 0 for a, b in pairwise(found)):
        return Statement("command", "INSERT", text)
    if verb in _RESULT:
        at, name = _format_clause(text, found)
        return Statement("result", verb, text, name, at)
    kinds: dict[str, Kind] = {"SET": "set", "KILL": "kill"}
    return Statement(kinds.get(verb, "command"), verb, text)


def _format_clause(text: str, found: list[Token]) -> tuple[int, str]:
    """Where the closing FORMAT clause begins and what it names; SETTINGS may follow it."""
    top = [token for token in found if token.depth == 0]
    for index in range(len(top) - 2, 0, -1):
        if top[index].text == "FORMAT" and top[index].kind == "word" and top[index + 1].kind == "word":
            after = top[index + 2 :]
            if not after or after[0].text == "SETTINGS":
                return top[index].start, text[top[index + 1].start : top[index + 1].end]
    return -1, ""


def insert_with_data(text: str) -> Statement | None:
    """The insert at the head of a request whose data follow it there, or None.

    By the tokens before the data only: data may be anything.
    """
    depth, clause, select, given = 0, -1, False, _NO_INPUT
    before, start = _Word("", -1), _insert_at(text)
    for match in _TOKEN.finditer(text, start) if start >= 0 else ():
        if match.group("space") is not None:
            continue
        raw = match.group()
        word = raw.upper() if match.group("word") is not None else ""
        if select and raw == "(" and before.text == "INPUT":
            given = (before.at, match.start())
        if depth == 0:
            if before.text == "FORMAT" and word and (not select or given is not _NO_INPUT):
                after = _LINE_END.match(text, match.end())
                at = before.at if select else clause
                return Statement("insert_data", "INSERT", text, raw, at, after.end() if after else match.end(), *given)
            select |= word in ("SELECT", "WITH", "WATCH")
            is_clause = before.text not in ("INTO", "TABLE", ".")
            if word == "VALUES" and is_clause and not select:
                at = match.start() if clause < 0 else clause
                return Statement("insert_data", "INSERT", text, "Values", at, match.end())
            if word in ("SETTINGS", "FORMAT") and is_clause and clause < 0:
                clause = match.start()
        if match.group("other") is not None:
            depth += (raw in _OPEN) - (raw in _CLOSE)
        before = _Word(word or raw, match.start())
    return None


def _insert_at(text: str) -> int:
    """Where an INSERT begins that stands at the head, or behind the expressions of a WITH there; -1 without."""
    depth, first, before = 0, "", _Word("", -1)
    for match in _TOKEN.finditer(text):
        if match.group("space") is not None:
            continue
        word = match.group().upper() if match.group("word") is not None else ""
        first = first or word or "-"
        if first == "INSERT":
            return match.start()
        if first != "WITH" or (depth == 0 and word == "SELECT"):
            return -1
        if depth == 0 and (before.text, word) == ("INSERT", "INTO"):
            return before.at
        if match.group("other") is not None:
            depth += (match.group() in _OPEN) - (match.group() in _CLOSE)
        before = _Word(word, match.start())
    return -1
