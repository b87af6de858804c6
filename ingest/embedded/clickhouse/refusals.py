"""What a client's statement may not do here, of what the engine's own grants (grants.py) leave open.

In: a statement. Out: nothing, or a ClickHouseError. Refused are the engine's client-side clauses that read and write
this host's files, and functions, engines and dictionary sources that need no grant. A statement is judged in the
engine's own wording of it (formatQuerySingleLine), where comments, quotes, escapes and letter case hide nothing; one of
plain ASCII without any of the words is not even asked about.
"""

import re
from collections.abc import Callable, Container
from itertools import pairwise
from mmap import mmap

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.statement import Token, tokens

_FUNCTIONS = {
    "ARROWSTREAM", "CATBOOSTEVALUATE", "DISK", "EVAL", "EXECUTABLE", "FILE", "PYTHON", "SQLITE",
    "AICLASSIFY", "AIEMBED", "AIEXTRACT", "AIFILTER", "AIGENERATE", "AIREDACT", "AISIMILARITY", "AITRANSLATE",
}  # fmt: skip
_ENGINES = {
    "LOG", "TINYLOG", "STRIPELOG", "MEMORY", "NULL", "SET", "JOIN", "BUFFER", "MERGE", "DICTIONARY", "ALIAS",
    "GENERATERANDOM", "TIMESERIES", "VIEW", "MATERIALIZEDVIEW", "ATOMIC", "ORDINARY", "REPLICATED", "KEEPERMAP",
}  # fmt: skip
_SOURCES = {"CLICKHOUSE", "NULL"}
# The engine takes these for itself, and opens no connection.
_LOCAL_HOSTS = {"'localhost'", "'127.0.0.1'", "'::1'"}
_LOCAL_PORT = "9000"
_SQL_ARGUMENTS = {"QUERY": "", "WHERE": "SELECT 1 WHERE ", "INVALIDATE_QUERY": ""}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NAMES_A_TABLE = {"INTO", "TABLE", "EXISTS", "VIEW", "DICTIONARY", "."}
_WORDS = re.compile(r"outfile|infile|engine|dictionary|attach|[^\x00-\x7f]|\\|" + "|".join(_FUNCTIONS), re.IGNORECASE)
# In inserted VALUES, what could be a call of the function that reads files: by its name, or by a quoted one.
_CALL_IN_VALUES = re.compile(rb"""file|[`"]\s*(?:\(|/\*|--|\#)|\xe2\x80\x9d""", re.IGNORECASE)


def vet(text: str, wording: Callable[[str], str], engines: Container[str]) -> None:
    """Raises for a statement that is refused. `engines` are all the engine knows, in upper case; others it refuses."""
    if _WORDS.search(text) is None:
        return
    words = tokens(canonical := wording(text))
    if words and words[0].text == "ATTACH":
        _no_foreign_data(words)
    for index, token in enumerate(words[:-1]):
        after = words[index + 1]
        _no_files(token, after)
        is_name = index > 0 and words[index - 1].text in _NAMES_A_TABLE
        if _name(token) in _FUNCTIONS and after.text == "(" and not is_name:
            raise _denied(f"{_name(token).lower()}()")
        if canonical[token.start : token.end] == "ENGINE" and after.text == "=" and index + 2 < len(words):
            engine = _name(words[index + 2])
            if engine not in _ENGINES and not engine.endswith("MERGETREE") and engine in engines:
                raise _denied(f"ENGINE = {words[index + 2].text}")
        if token.text == "SOURCE" and after.text == "(" and index + 2 < len(words):
            _no_foreign_source(words[index + 2 :], lambda inner: vet(inner, wording, engines))


def calls_in_values(data: bytes | mmap) -> bool:
    """Whether the data of an INSERT … VALUES may hold an expression that reads a file."""
    return _CALL_IN_VALUES.search(data) is not None


def _no_files(token: Token, after: Token) -> None:
    pair = (token.text, after.text) if token.kind == after.kind == "word" else ("", "")
    if pair == ("INTO", "OUTFILE"):
        raise ClickHouseError(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed over HTTP")
    if pair == ("FROM", "INFILE"):
        raise ClickHouseError(344, "SUPPORT_IS_DISABLED", "FROM INFILE is not allowed over HTTP")


def _no_foreign_data(words: list[Token]) -> None:
    for token, after in pairwise(words):
        if token.text == "FROM" and after.kind == "string":
            raise _denied("ATTACH … FROM")


def _no_foreign_source(words: list[Token], vet_inner: Callable[[str], None]) -> None:
    """`words` begin with the source's kind; up to the bracket that closes SOURCE( are its arguments, SQL among them."""
    kind = _name(words[0])
    if kind not in _SOURCES:
        raise _denied(f"A dictionary's source {kind}")
    for token, after in pairwise(words):
        if token.depth < words[0].depth:
            return
        is_foreign = (
            (token.text == "HOST" and after.text not in _LOCAL_HOSTS)
            or (token.text == "PORT" and after.text.strip("'") != _LOCAL_PORT)
            or (token.text == "SECURE" and after.text.strip("'") != "0")
        )
        if token.kind == "word" and is_foreign:
            raise _denied(f"A dictionary's source with {token.text} {after.text}")
        if token.text in _SQL_ARGUMENTS and after.kind == "string":
            vet_inner(_SQL_ARGUMENTS[token.text] + _ESCAPED.sub(r"\1", after.text[1:-1]))


def _name(token: Token) -> str:
    return token.text.strip('`"').upper() if token.kind in ("word", "quoted") else ""


def _denied(what: str) -> ClickHouseError:
    message = f"{what} is not allowed here: it reaches the files, programs or ports of this host, or another one"
    return ClickHouseError(497, "ACCESS_DENIED", message)
