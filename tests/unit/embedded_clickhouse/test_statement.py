"""What a query is, by its tokens."""

import pytest

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.statement import insert_with_data, parse


def test_the_result_goes_to_the_file_before_the_query_s_own_format() -> None:
    asked = parse("select 1 as format from (select 'format x') format JSONCompact settings max_threads = 1;")
    assert asked.format == "JSONCompact"
    assert asked.into_file("/p", "TSV") == (
        "select 1 as format from (select 'format x') "
        "\nINTO OUTFILE '/p' TRUNCATE format JSONCompact settings max_threads = 1"
    )


def test_a_query_without_a_format_takes_the_default_one() -> None:
    assert parse("show tables -- format CSV").into_file("/p", "Native").endswith("TRUNCATE /**/FORMAT Native")


@pytest.mark.parametrize(
    ("head", "data"),
    [
        ("insert into t format JSONEachRow\n{}", "{}"),
        ("/* format CSV */ INSERT INTO db.t (a, `format x`) SETTINGS s = 'format y' FORMAT CSV\n1", "1"),
        ("insert into t (a) values (1), (2)", " (1), (2)"),
        ("insert into values values (1)", " (1)"),
        ("with 1 as x, (select 2) as y insert into t (a) format CSV\n1;\n", "1;\n"),
        ("insert into function null('a int') format CSV 1\n", "1\n"),
    ],
)
def test_an_insert_s_data_begin_after_its_format(head: str, data: str) -> None:
    found = insert_with_data(head)
    assert found is not None
    assert head[found.data_at :] == data


def test_the_file_stands_before_settings_and_format() -> None:
    found = insert_with_data("insert into t (a) settings async_insert = 1 format CSV\n1")
    assert found is not None
    assert found.from_file("/f") == (
        "insert into t (a) FROM INFILE '/f' COMPRESSION 'none' settings async_insert = 1 format CSV"
    )


def test_an_insert_of_a_select_has_no_data() -> None:
    assert insert_with_data("insert into t (a) select 1 format CSV") is None
    assert insert_with_data("select 'insert into t format CSV'") is None
    assert insert_with_data("with insert as (select 1) select * from insert format CSV") is None
    assert parse("with 13 as insert select insert").kind == "result"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("select 1; select 2", 62),
        ("  ; -- nothing", 62),
    ],
)
def test_what_is_not_one_query_is_refused(text: str, code: int) -> None:
    with pytest.raises(ClickHouseError) as refused:
        parse(text)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "select 'a; b', `file`, \"url\" from t /* ; */ where x = 'file(1)'",
        "create table url (file String, url String) engine = Memory",
        "select url, file from t",
        "select $$;$$, 'it''s', 'a\\'; b'",
    ],
)
def test_words_in_strings_comments_and_names_are_no_commands(text: str) -> None:
    assert parse(text).text == text
