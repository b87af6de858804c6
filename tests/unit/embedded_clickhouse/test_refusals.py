"""What is refused by its words; the engine's own wording of them is tried in tests/integration."""

import pytest

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.refusals import calls_in_values, vet

_ENGINES = {"KAFKA", "MEMORY", "MERGETREE"}


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE kafka (file String, `engine` String) ENGINE = Memory",
        "INSERT INTO file (a) FORMAT TSV",
        "SELECT 'into outfile', 'ENGINE = Kafka', a.engine = kafka FROM t",
        "CREATE TABLE t (a Int8) ENGINE = NoSuchEngine",
        "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(HOST 'localhost' PORT 9000 TABLE 'file'))",
        "ATTACH TABLE t",
    ],
)
def test_names_and_strings_that_only_look_like_it_pass(text: str) -> None:
    vet(text, str, _ENGINES)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE t (a Int8) ENGINE = Kafka",
        "ATTACH TABLE t FROM '/tmp' (a Int8) ENGINE = Memory",
        "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(HOST 'localhost' SECURE 1 TABLE 'x'))",
        "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(TABLE 'x' WHERE 'file(\\'/a\\') = 1'))",
    ],
)
def test_what_needs_no_grant_of_the_engine_is_refused_here(text: str) -> None:
    with pytest.raises(ClickHouseError) as refused:
        vet(text, str, _ENGINES)
    assert refused.value.code == 497


def test_the_engine_is_asked_only_about_statements_that_could_be_refused() -> None:
    vet("select a, count() from t group by a settings max_threads = 1", lambda _: pytest.fail("asked"), _ENGINES)
    asked = []
    for text in ("select 'ü'", "select 'a\\tb'", "select filename from t"):
        vet(text, lambda one: asked.append(one) or one, _ENGINES)  # type: ignore[func-returns-value]
    assert len(asked) == 3


@pytest.mark.parametrize("data", [b"(FILE ('/a'))", b"(`\\x66ile` /**/('/a'))", "(“fil\\x65”('/a'))".encode()])
def test_values_that_could_call_the_file_function_are_found(data: bytes) -> None:
    assert calls_in_values(data)
    assert not calls_in_values(b"(now(), '{\"a\": [1, 2]}', toDate('2026-01-01'))")
