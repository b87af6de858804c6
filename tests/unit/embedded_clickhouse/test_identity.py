"""A client's own user and query ids in its statements."""

from ingest.embedded.clickhouse.identity import as_client
from ingest.embedded.clickhouse.statement import parse


def _reworded(text: str) -> str:
    return as_client(parse(text), user="o'neil", query_id="q-1").text


def test_functions_say_the_client_s_user_and_id_under_their_own_names() -> None:
    assert _reworded("select currentUser(), queryID() as id") == (
        "select ('o\\'neil' AS `currentUser()`), ('q-1' AS `queryID()`) as id"
    )
    assert _reworded("insert into t select query_id()") == "insert into t select ('q-1' AS `query_id()`)"


def test_system_tables_are_read_with_the_client_s_ids() -> None:
    told = _reworded("select query_id from system.query_log l where type = 2 format JSON")
    assert told.startswith("select query_id from (SELECT * REPLACE (")
    assert told.endswith(") l where type = 2 format JSON")
    assert parse(told).format == "JSON"
    assert "system.processes" in _reworded("show processlist")


def test_a_kill_finds_the_client_s_id_in_any_condition() -> None:
    killed = _reworded("kill query where query_id in ('a', 'b') or user = 'query_id' sync")
    assert killed.startswith("kill query where (if(extract(query,")
    assert killed.endswith(" in ('a', 'b') or user = 'query_id' sync")


def test_what_is_kept_for_later_or_is_no_call_stays_as_it_is() -> None:
    for text in ("create view v as select queryID()", "select query_id, user from t", "select 'queryID()'"):
        assert _reworded(text) == text
