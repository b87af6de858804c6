"""Applies the numbered files of this folder to a ClickHouse, once each, and keeps the retention as the setting says.

In: a clickhouse-connect client and a Layout. Out: the tables; rows in ops.schema_migrations. Refuses, before it changes
anything, when an applied file has changed or the database knows a version this code does not.

Every statement is safe to repeat (files.py checks it) and a version's row is written last, under an insert token, so a
crash is mended by running again and two processes at once do the same harmless thing twice. There is no lock, hence
none to be left behind. Why not clickhouse-migrations: docs/raw-tables.md, "Migrations".
"""

import getpass
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.errors import MeterhouseError
from ingest.schema.engines import Layout
from ingest.schema.files import Migration, load_bookkeeping, load_migrations
from ingest.schema.retention import retention_changes
from ingest.warehouse import insert_settings

Say = Callable[[str], None]
State = Literal["applied", "pending", "changed", "unknown"]


class MigrationError(MeterhouseError):
    """The database cannot be brought to this code's tables; nothing was started, or what was done is safe to repeat."""


@dataclass(frozen=True)
class Applied:
    """A row of ops.schema_migrations: the first of its version."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


@dataclass(frozen=True)
class Status:
    """Where one version stands; `file` is empty for a version this code does not know."""

    version: int
    name: str
    state: State
    applied_at: datetime | None


def migrate(
    client: Client,
    layout: Layout,
    *,
    dry_run: bool = False,
    reapply: bool = False,
    say: Say = lambda _: None,
    migrations: Sequence[Migration] | None = None,
) -> int:
    """Brings the database to the tables of this code; returns how many files were applied.

    `dry_run` says every statement and runs none. `reapply` runs the statements of applied files again, for a node that
    joined a cluster later. Raises MigrationError.
    """
    known = load_migrations() if migrations is None else list(migrations)
    applied = read_applied(client, layout)
    _refuse_mismatch(known, applied)
    pending = known if reapply else [one for one in known if one.version not in applied]
    bookkeeping = load_bookkeeping()
    if dry_run:
        for migration in [bookkeeping, *pending] if pending else []:
            for statement in migration.statements(layout):
                say(f"-- {migration.file}\n{statement};\n")
    else:
        _run(client, bookkeeping, layout)
        for migration in pending:
            say(f"{migration.file}: applying")
            _run(client, migration, layout)
            if migration.version not in applied:
                _record(client, layout, migration)
    _keep_retention(client, layout, dry_run=dry_run, say=say)
    if not pending:
        say(f"all {len(known)} migrations are applied")
    elif not dry_run:
        say(f"applied {len(pending)} of {len(known)} migrations")
    return len(pending)


def status(client: Client, layout: Layout, migrations: Sequence[Migration] | None = None) -> list[Status]:
    """Every version the code or the database knows, in order. Changes nothing."""
    known = {one.version: one for one in (load_migrations() if migrations is None else migrations)}
    applied = read_applied(client, layout)
    rows = []
    for version in sorted(known.keys() | applied.keys()):
        there, here = applied.get(version), known.get(version)
        state: State = "pending"
        if there is not None:
            state = "unknown" if here is None else "applied" if here.checksum == there.checksum else "changed"
        name = here.name if here is not None else there.name if there is not None else ""
        rows.append(Status(version, name, state, there.applied_at if there else None))
    return rows


def read_applied(client: Client, layout: Layout) -> dict[int, Applied]:
    """What ops.schema_migrations holds, by version; empty where the table is not there yet."""
    there = client.query(
        "select count() from system.tables where database = {database:String} and name = 'schema_migrations'",
        parameters={"database": f"{layout.database_prefix}ops"},
    ).result_rows[0][0]
    if not there:
        return {}
    table = layout.stored_table("ops.schema_migrations")
    rows = client.query(
        f"select version, name, checksum, applied_at from {table} order by version, applied_at limit 1 by version"  # noqa: S608  # a quoted name from settings
    ).result_rows
    return {row[0]: Applied(*row) for row in rows}


def _refuse_mismatch(known: Sequence[Migration], applied: dict[int, Applied]) -> None:
    by_version = {one.version: one for one in known}
    newest = max(by_version, default=0)
    for version, there in sorted(applied.items()):
        here = by_version.get(version)
        if here is None:
            raise MigrationError(
                f"ops.schema_migrations has version {version} ({there.name}, applied {there.applied_at:%Y-%m-%d %H:%M} "
                f"UTC), but this installation knows versions up to {newest}: a newer Meterhouse migrated this "
                "database. Upgrade this installation; nothing was changed."
            )
        if here.checksum != there.checksum:
            raise MigrationError(
                f"{here.file} was applied on {there.applied_at:%Y-%m-%d %H:%M} UTC and has changed since (checksum "
                f"{there.checksum[:12]} then, {here.checksum[:12]} now). Restore the file as it was and put the "
                "change into a new migration; nothing was changed."
            )


def _run(client: Client, migration: Migration, layout: Layout) -> None:
    statements = migration.statements(layout)
    for number, statement in enumerate(statements, start=1):
        try:
            client.command(statement)
        except ClickHouseError as error:
            raise MigrationError(
                f"{migration.file}, statement {number} of {len(statements)}, failed: {error}. What was done stays and "
                "is safe to repeat: remove the cause and run `meterhouse migrate` again."
            ) from error


def _record(client: Client, layout: Layout, migration: Migration) -> None:
    client.command(
        f"insert into {layout.stored_table('ops.schema_migrations')} (version, name, checksum, applied_by) "
        "select {version:UInt32}, {name:String}, {checksum:String}, {applied_by:String}",
        parameters={
            "version": migration.version,
            "name": migration.name,
            "checksum": migration.checksum,
            "applied_by": f"{getpass.getuser()}@{socket.gethostname()}",
        },
        settings=insert_settings(client, token=f"migration:{migration.version}"),
    )
    _refuse_mismatch([migration], {k: v for k, v in read_applied(client, layout).items() if k == migration.version})


def _keep_retention(client: Client, layout: Layout, *, dry_run: bool, say: Say) -> None:
    for change in retention_changes(client, layout):
        say(change.sentence)
        if dry_run:
            say(f"{change.statement};\n")
        else:
            client.command(change.statement)
