"""What the engine itself lets its users do: the text of its users file.

chDB signs every connection in as `default`, so all share these rights; who may only read is made so by `readonly`.
The others are there to be named (a dictionary's source, a definer). Given is what works on this directory's tables;
what reaches other hosts, files, programs, the process itself or the tables of `system` is not.
"""

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

_GRANT = (
    "GRANT CHECK, SHOW, SELECT, INSERT, ALTER TABLE, ALTER DATABASE, ALTER VIEW, CREATE DATABASE, CREATE TABLE, "
    "CREATE VIEW, CREATE DICTIONARY, CREATE ARBITRARY TEMPORARY TABLE, CREATE TEMPORARY VIEW, CREATE FUNCTION, DROP, "
    "UNDROP TABLE, TRUNCATE, OPTIMIZE, KILL QUERY, KILL TRANSACTION, MOVE PARTITION BETWEEN SHARDS, SHOW ACCESS, "
    "dictGet, INTROSPECTION, CLUSTER, SYSTEM DROP CACHE, SYSTEM RELOAD DICTIONARY, SYSTEM RELOAD FUNCTION, "
    "SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM FETCHES, SYSTEM MOVES, SYSTEM CLEANUP, SYSTEM VIEWS, SYSTEM SENDS, "
    "SYSTEM SYNC REPLICA, SYSTEM RESTART REPLICA, SYSTEM WAIT LOADING PARTS, SYSTEM FLUSH, SYSTEM LOAD PRIMARY KEY, "
    "SYSTEM UNLOAD PRIMARY KEY ON *.*"
)
_REVOKE = (
    "REVOKE INSERT, ALTER TABLE, ALTER DATABASE, ALTER VIEW, CREATE DATABASE, CREATE TABLE, CREATE VIEW, "
    "CREATE DICTIONARY, DROP, TRUNCATE ON system.*"
)
# Other grammars have other ways to say what is refused by its words.
_FIXED_SETTINGS = (
    "dialect",
    "input_format_record_errors_file_path",
    "output_format_schema",
    "format_avro_schema_registry_url",
    "default_normal_view_sql_security",
    "default_materialized_view_sql_security",
)
_XML_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


def users_xml(names: Iterable[str]) -> str:
    """The engine's users file for the users of these names; `default` is always there."""
    grants = "".join(f"<query>{escape(grant)}</query>" for grant in (_GRANT, _REVOKE))
    # Passwords are checked before the engine is asked.
    user = f"<no_password/><profile>default</profile><grants>{grants}</grants>"
    users = "".join(f"<{name}>{user}</{name}>" for name in sorted({"default", *filter(_XML_NAME.fullmatch, names)}))
    fixed = "".join(f"<{name}><const/></{name}>" for name in _FIXED_SETTINGS)
    profile = f"<default><log_queries>1</log_queries><constraints>{fixed}</constraints></default>"
    return (
        f"<clickhouse><profiles>{profile}</profiles><users>{users}</users>"
        "<quotas><default></default></quotas></clickhouse>\n"
    )
