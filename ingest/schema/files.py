"""The numbered SQL files of this folder, as checked and rendered statements.

In: `NNNN_name.sql` beside this module. Out: migrations in order, each with a checksum of its text (before rendering,
so that it is the same for every prefix and cluster). A misnamed file, a number used twice, a gap, or a statement that
is not safe to repeat raises MigrationFileError: a crash in the middle of a file is mended by running it again.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ingest.errors import MeterhouseError
from ingest.schema.engines import Layout, render

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<quoted> '(?:\\.|''|[^'\\])*' | `(?:\\.|``|[^`\\])*` | "(?:\\.|""|[^"\\])*" )
    | (?P<end> ; )
    | (?P<stray> ['"`] | /\* )
    | (?P<code> [^-/'"`;]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
# What ClickHouse does once and then not again, or does again with the same result.
_REPEATABLE = re.compile(
    r"create (database|table|materialized view|dictionary|function) if not exists "
    r"|create or replace (view|function|dictionary) "
    r"|drop (table|view|dictionary|function) if exists "
    r"|alter table \S+ (on cluster '[^']+' )?"
    r"(add (column|index|projection|constraint) if not exists |drop (column|index|projection|constraint) if exists "
    r"|rename column if exists |modify (column|ttl|setting|comment) |comment column |materialize )"
)


class MigrationFileError(MeterhouseError):
    """A file in ingest/schema/ cannot be a migration."""


@dataclass(frozen=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    file: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, whatever line ends a checkout gave it."""
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()

    def statements(self, layout: Layout) -> list[str]:
        return split_statements(render(self.text, layout, self.file), self.file)


def load_migrations(folder: Path | None = None) -> list[Migration]:
    """All migrations of the folder (default: the packaged one), by number from 1 without a gap."""
    found: dict[int, Migration] = {}
    entries = folder.iterdir() if folder else files("ingest.schema").iterdir()
    for entry in sorted(entries, key=lambda one: one.name):
        if not entry.name.endswith(".sql") or entry.name == "bookkeeping.sql":
            continue
        name = _FILE_NAME.fullmatch(entry.name)
        if name is None:
            raise MigrationFileError(f"{entry.name}: expected NNNN_lower_case_name.sql. Rename the file.")
        version = int(name.group(1))
        if version in found:
            raise MigrationFileError(
                f"{entry.name}: number {version} is {found[version].file}'s. Renumber one of them."
            )
        if version != len(found) + 1:
            raise MigrationFileError(f"{entry.name}: expected number {len(found) + 1:04} next. Renumber the file.")
        found[version] = Migration(version, name.group(2), entry.name, entry.read_text("utf-8"))
    return list(found.values())


def load_bookkeeping() -> Migration:
    """What has to be there before the first migration; not numbered, run every time."""
    text = files("ingest.schema").joinpath("bookkeeping.sql").read_text("utf-8")
    return Migration(0, "bookkeeping", "bookkeeping.sql", text)


def split_statements(text: str, source: str) -> list[str]:
    """The statements of a rendered file, without comments, each checked to be safe to repeat."""
    statements, parts = [], [""]
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "stray":
            line = text.count("\n", 0, token.start()) + 1
            raise MigrationFileError(f"{source} line {line}: {token.group()} is never closed. Correct the file.")
        if token.lastgroup == "end":
            statements.append("".join(parts))
            parts = []
        elif token.lastgroup == "comment":
            parts.append(" ")
        else:
            parts.append(token.group())
    statements.append("".join(parts))
    cleaned = [re.sub(r"[ \t]+\n", "\n", statement).strip() for statement in statements]
    cleaned = [re.sub(r"\n{2,}", "\n", statement) for statement in cleaned if statement]
    for statement in cleaned:
        opening = " ".join(statement.split()).lower()
        if not _REPEATABLE.match(opening):
            raise MigrationFileError(
                f"{source}: a statement must be safe to run twice (if not exists, or replace, if exists), "
                f"came {opening[:60]!r}. Rewrite it."
            )
    return cleaned
