"""Who asks and as what: a client's name, program and query id where the engine would say its own.

chDB signs everybody in as `default` and makes query ids of its own; the client's stand in the comments that end each
query's text (engine.signed and engine.mark). Here its statements are reworded: queryID() and currentUser() become what
they should say, system.processes and system.query_log are read with the client's, and KILL QUERY finds its ids.
"""

import re

from ingest.embedded.clickhouse.statement import Statement, Token, parse, tokens

_MARK = "'/[*] query_id=(.*) [*]/$'"
_CLIENT_ID = f"if(extract(query, {_MARK}) = '', query_id, extract(query, {_MARK}))"
_USER = "'/[*] by=([0-9a-f]*)[.][0-9a-f]* [*]//[*] query_id=.* [*]/$'"
_AGENT = "'/[*] by=[0-9a-f]*[.]([0-9a-f]*) [*]//[*] query_id=.* [*]/$'"
# What this server wrote around the query's text, and then what it wrote into it: a format, if any, is at the end only
# without the mark.
_AROUND = "'^/[*][*]/|(/[*] by=[0-9a-f.]+ [*]/)?/[*] query_id=.* [*]/$'"
_WITHIN = (
    "'\\nINTO OUTFILE ./dev/fd/[0-9]+. TRUNCATE (/[*][*]/FORMAT [A-Za-z0-9]+$)?"
    "|FROM INFILE .[^ ]*. COMPRESSION .none. '"
)
# Rows of statements that this server runs for itself, such as SET and USE, are left out.
_ROWS = {"PROCESSES": "", "QUERY_LOG": f" WHERE l.client_name != 'chDB client' OR extract(l.query, {_MARK}) != ''"}
_TABLES = {
    name: "(SELECT * REPLACE ("  # noqa: S608  # constants
    f"if(extract(l.query, {_MARK}) = '', l.query_id, extract(l.query, {_MARK})) AS query_id, "
    f"if(extract(l.query, {_MARK}) = '', l.initial_query_id, extract(l.query, {_MARK})) AS initial_query_id, "
    f"if(extract(l.query, {_USER}) = '', toString(l.user), unhex(extract(l.query, {_USER}))) AS user, "
    f"if(extract(l.query, {_USER}) = '', toString(l.initial_user), unhex(extract(l.query, {_USER}))) AS initial_user, "
    f"unhex(extract(l.query, {_AGENT})) AS http_user_agent, "
    f"replaceRegexpAll(replaceRegexpAll(l.query, {_AROUND}, ''), {_WITHIN}, '') AS query) "
    f"FROM system.{name.lower()} AS l{rows})"
    for name, rows in _ROWS.items()
}
_ID_FUNCTIONS = {
    "QUERYID", "QUERY_ID", "INITIALQUERYID", "INITIAL_QUERY_ID", "CURRENTQUERYID", "CURRENT_QUERY_ID",
}  # fmt: skip
_USER_FUNCTIONS = {"CURRENTUSER", "CURRENT_USER", "USER", "INITIALUSER", "INITIAL_USER"}
_WORDS = re.compile(
    r"query_?id|current_?user|initial_?user|\buser\s*\(|\bprocesses|query_log|processlist", re.IGNORECASE
)


def as_client(asked: Statement, *, user: str, query_id: str) -> Statement:
    """The same statement in words that show the client's own user and ids."""
    is_query = asked.kind == "result" or (asked.kind == "command" and asked.verb == "INSERT")
    if not (is_query or asked.kind == "kill") or _WORDS.search(asked.text) is None:
        return asked
    words = tokens(asked.text)
    if asked.kind == "kill":
        edits = [(token.start, token.end, f"({_CLIENT_ID})") for token in words if token.text == "QUERY_ID"]
    elif [token.text for token in words[:2]] == ["SHOW", "PROCESSLIST"]:
        shown = f"SELECT * FROM {_TABLES['PROCESSES']} ORDER BY elapsed DESC"  # noqa: S608  # constants
        edits = [(words[0].start, words[1].end, shown)]
    else:
        edits = _tables(words) + _functions(asked.text, words, user, query_id)
    text = asked.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return parse(text) if edits else asked


def _tables(words: list[Token]) -> list[tuple[int, int, str]]:
    found = []
    for before, database, dot, table, after in zip(
        words, words[1:], words[2:], words[3:], [*words[4:], None], strict=False
    ):
        is_table = (database.text, dot.text, before.text in ("FROM", "JOIN")) == ("SYSTEM", ".", True)
        if is_table and table.text in _TABLES and (after is None or after.text != "."):
            found.append((database.start, table.end, _TABLES[table.text]))
    return found


def _functions(text: str, words: list[Token], user: str, query_id: str) -> list[tuple[int, int, str]]:
    found = []
    for name, opening, closing in zip(words, words[1:], words[2:], strict=False):
        if name.kind != "word" or (opening.text, closing.text) != ("(", ")"):
            continue
        value = query_id if name.text in _ID_FUNCTIONS else user if name.text in _USER_FUNCTIONS else None
        if value is not None:
            said = value.replace("\\", "\\\\").replace("'", "\\'")
            found.append((name.start, closing.end, f"('{said}' AS `{text[name.start : name.end]}()`)"))
    return found
