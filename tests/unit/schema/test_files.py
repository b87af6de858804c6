"""Which files can be migrations, and how they fall into statements."""

from pathlib import Path

import pytest

from ingest.schema.files import MigrationFileError, load_migrations, split_statements


def test_semicolons_in_strings_names_and_comments_end_nothing() -> None:
    text = (
        "-- one; two\ncreate table if not exists a (s String default ';', `x;y` UInt8) /* ; */ engine = Memory;\n"
        "drop table if exists b"
    )
    assert split_statements(text, "f.sql") == [
        "create table if not exists a (s String default ';', `x;y` UInt8)   engine = Memory",
        "drop table if exists b",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "create table a (x UInt8) engine = Memory",
        "insert into a values (1)",
        "drop table a",
        "alter table a add column b UInt8",
    ],
)
def test_a_statement_that_cannot_be_repeated_is_refused(statement: str) -> None:
    with pytest.raises(MigrationFileError, match="safe to run twice"):
        split_statements(statement, "f.sql")


def test_a_string_that_never_ends_is_refused_with_its_line() -> None:
    with pytest.raises(MigrationFileError, match=r"f.sql line 2: ' is never closed"):
        split_statements("drop table if exists a;\ndrop table if exists 'b", "f.sql")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["0001_a.sql", "0003_b.sql"], "expected number 0002 next"),
        (["0001_a.sql", "0001_b.sql"], "number 1 is 0001_a.sql's"),
        (["1_a.sql"], "expected NNNN_lower_case_name.sql"),
        (["0001_A.sql"], "expected NNNN_lower_case_name.sql"),
    ],
)
def test_misnumbered_files_are_refused(tmp_path: Path, names: list[str], says: str) -> None:
    for name in names:
        (tmp_path / name).write_text("drop table if exists a;")
    with pytest.raises(MigrationFileError, match=says):
        load_migrations(tmp_path)


def test_the_checksum_does_not_depend_on_line_ends(tmp_path: Path) -> None:
    for folder, text in (("unix", b"drop table\nif exists a;\n"), ("windows", b"drop table\r\nif exists a;\r\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0001_a.sql").write_bytes(text)
    (unix,), (windows,) = load_migrations(tmp_path / "unix"), load_migrations(tmp_path / "windows")
    assert unix.checksum == windows.checksum
