"""Speaks to ClickHouse: a client made from an address, and the settings every insert carries.

In: a ClickHouseAddress and timeouts in seconds. Out: a clickhouse-connect Client that threads may share (no session,
its own pool). Unreachable, refused or unauthorised raises MeterhouseError with one sentence and without the password.
"""

import ipaddress
import logging
import math
from collections.abc import Mapping
from typing import Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3 import Timeout

from ingest.errors import MeterhouseError
from ingest.settings import ClickHouseAddress
from ingest.warehouse_errors import UNKNOWN_DATABASE, ErrorKind, code_of, describe, innermost, kind_of


class WarehouseUnavailableError(MeterhouseError):
    """Nobody answers there, or one who cannot serve for now: waiting can help."""


# Connections kept open for threads that share a client; a further one is made and dropped after use.
POOLED_CONNECTIONS: Final = 16

# What a token's guarantee needs, said on every insert, whatever the server's or the user's profile say. Names and
# defaults changed in ClickHouse 26.2 and 26.8: a server that does not know a name does not need it (insert_settings).
INSERT_SETTINGS: Final[Mapping[str, str | int]] = {
    # 26.2 made asynchronous inserts the default: they answer for a buffer that others share.
    "async_insert": 0,
    "deduplicate_insert": "enable",
    "insert_deduplicate": 1,
    # The embedded engine may carry an insert out as INSERT SELECT; with a token that is deduplicated too.
    "deduplicate_insert_select": "enable_when_possible",
    # One insert is one block, so one token is one set of rows: four times the most rows a batch may have.
    "max_insert_block_size": 4_194_304,
    "min_insert_block_size_rows": 4_194_304,
    "min_insert_block_size_bytes": 0,
    # 26.8 made parallel writing the default, which splits a block.
    "max_insert_threads": 1,
    # A backfill may span any number of months; a batch that can never land would stop its partition for ever.
    "max_partitions_per_insert_block": 0,
    # Through a Distributed table: answer when the shards have the rows, not when a spool file has them.
    "distributed_foreground_insert": 1,
    # Refused before the disk is full to the last byte: a write that ends in the middle of a part has been seen to pass.
    "min_free_disk_bytes_to_perform_insert": 64 << 20,
    # To collapse copies within an insert takes a third of its time; a merge does it later, as it does between inserts.
    "optimize_on_insert": 0,
}
_OPTIONAL: Final = frozenset(
    {
        "deduplicate_insert",
        "deduplicate_insert_select",
        "distributed_foreground_insert",
        "min_free_disk_bytes_to_perform_insert",
    }
)


def connect(
    address: ClickHouseAddress,
    *,
    connect_timeout_s: float,
    request_timeout_s: float,
    database: str | None = None,
) -> Client:
    """A client whose calls end within the timeouts; inserts are not repeated behind the caller's back.

    Raises WarehouseUnavailableError where the server cannot be reached, MeterhouseError where it does not accept the
    user or is none.
    """
    # It warns of what it raises anyway, on standard error where nothing is configured.
    logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
    loopback = is_loopback(address.host)
    try:
        client = clickhouse_connect.get_client(
            interface="https" if address.secure else "http",
            host=address.host,
            port=address.port,
            username=address.username,
            password=address.password,
            database=database,
            # On loopback compression costs more than it saves, and a proxy from the environment would lead astray.
            compress=False if loopback else "lz4",
            pool_mgr=get_pool_manager(maxsize=POOLED_CONNECTIONS) if loopback else None,
            dedicated_pool=not loopback,
            connect_timeout=math.ceil(connect_timeout_s),
            send_receive_timeout=math.ceil(request_timeout_s),
            query_retries=0,
            autogenerate_session_id=False,
        )
    # A stranger's answer on that port ends in whatever the client's parser trips over.
    except (ClickHouseError, ValueError, LookupError, ArithmeticError, TypeError, EOFError) as error:
        may_pass = kind_of(error) in (ErrorKind.TRANSIENT, ErrorKind.RESOURCE)
        raised = WarehouseUnavailableError if may_pass else MeterhouseError
        raise raised(_sentence(address, database, error)) from error
    assert isinstance(client, HttpClient)
    client.timeout = Timeout(connect=connect_timeout_s, read=request_timeout_s)
    client.http_retries = 0
    return client


def insert_settings(client: Client, token: str) -> dict[str, str | int]:
    """INSERT_SETTINGS as this server knows them, with the token under which the insert lands once."""
    known = {
        name: value
        for name, value in INSERT_SETTINGS.items()
        if name not in _OPTIONAL or name in client.server_settings
    }
    return {**known, "insert_deduplication_token": token}


def _sentence(address: ClickHouseAddress, database: str | None, error: Exception) -> str:
    kind, place = kind_of(error), f"ClickHouse at {address.public}"
    if kind is ErrorKind.AUTHENTICATION:
        return (
            f"{place} does not accept the user {address.username!r} ({describe(error)}). "
            "Correct user and password in METERHOUSE_CLICKHOUSE_URL."
        )
    if code_of(error) == UNKNOWN_DATABASE:
        return f"{place} has no database {database!r}. Run `meterhouse migrate`."
    if code_of(error) is None and kind is ErrorKind.TRANSIENT:
        return (
            f"{place} cannot be reached: {innermost(error)}. Start it (`make up` starts the embedded one), "
            "or set METERHOUSE_CLICKHOUSE_URL to where it is."
        )
    if code_of(error) is None:
        return (
            f"What answers at {address.public} does not speak as ClickHouse's HTTP interface does "
            f"({type(error).__name__}). Set METERHOUSE_CLICKHOUSE_URL to its HTTP port, usually 8123 or 8443."
        )
    return f"{place} answered {describe(error)}: {error}"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
