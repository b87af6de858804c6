"""`meterhouse keys`: make, list, rotate, retire and remove signing keys; tokens; rotate the identity key.

A new secret is shown once, on standard output; nothing else ever prints one. A running `meterhouse serve` takes changes
over within a second.
"""

import secrets
from typing import Annotated

import typer

keys = typer.Typer(
    name="keys",
    help="Keys that may sign requests to the front door, and the key that identifiers are hashed with.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
KeyName = Annotated[str, typer.Argument(help="The key's id, as `meterhouse keys list` shows it")]


@keys.command("make")
def make(
    workspace: Annotated[str, typer.Argument(help="Workspace that whatever is signed with it belongs to")],
    environment: Annotated[
        list[str] | None, typer.Option(help="Environment it may name; may be repeated; unset: any")
    ] = None,
    rate: Annotated[float, typer.Option(help="Events a second; 0: METERHOUSE_API_KEY_EVENTS_PER_S")] = 0.0,
    key_id: Annotated[str | None, typer.Option("--id", help="Its id; unset: a random one")] = None,
) -> None:
    """Make a key; prints its id and its secret."""
    from ingest.api.key_changes import add_key
    from ingest.api.keyring import keys_path
    from ingest.settings import load_settings

    made = add_key(
        keys_path(load_settings()), key_id or f"mh-{secrets.token_hex(6)}", workspace, tuple(environment or ()), rate
    )
    print(f"key {made.key_id}\nsecret {made.secrets[0]}")


@keys.command("list")
def show() -> None:
    """Show the keys, without their secrets."""
    from rich.console import Console
    from rich.table import Table

    from ingest.api.keyring import keys_path, read_keys
    from ingest.settings import load_settings

    file = read_keys(keys_path(load_settings()))
    table = Table("key", "workspace", "environments", "events/s", "secrets", "made at", box=None)
    for key in file.keys:
        table.add_row(
            key.key_id,
            key.workspace_id,
            ", ".join(key.environments) or "any",
            f"{key.events_per_s:g}" if key.events_per_s else "default",
            str(len(key.secrets)),
            key.made_at,
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(f"identity key {file.identity[0].key_id}, {len(file.identity) - 1} older", markup=False)


@keys.command("rotate")
def rotate(key_id: KeyName) -> None:
    """Give a key a new secret; the one before stays valid until `retire`. Prints the new secret."""
    from ingest.api.key_changes import rotate_key
    from ingest.api.keyring import keys_path
    from ingest.settings import load_settings

    print(f"secret {rotate_key(keys_path(load_settings()), key_id).secrets[0]}")


@keys.command("retire")
def retire(key_id: KeyName) -> None:
    """End the older secret of a key that was rotated."""
    from ingest.api.key_changes import retire_secret
    from ingest.api.keyring import keys_path
    from ingest.settings import load_settings

    retire_secret(keys_path(load_settings()), key_id)
    print(f"only the newest secret of {key_id} is valid now")


@keys.command("remove")
def remove(key_id: KeyName) -> None:
    """End a key."""
    from ingest.api.key_changes import remove_key
    from ingest.api.keyring import keys_path
    from ingest.settings import load_settings

    remove_key(keys_path(load_settings()), key_id)
    print(f"{key_id} is no longer valid")


@keys.command("token")
def token(
    workspace: Annotated[str, typer.Argument(help="Workspace that whatever comes with it belongs to")],
    days: Annotated[float, typer.Option(help="How long it is good")] = 90.0,
    environment: Annotated[
        list[str] | None, typer.Option(help="Environment it may name; may be repeated; unset: any")
    ] = None,
) -> None:
    """Make a bearer token for an OTLP exporter or a Collector, whose headers are fixed; prints it."""
    from ingest.api.keyring import keys_path
    from ingest.api.own_tokens import mint_token
    from ingest.settings import load_settings

    print(mint_token(keys_path(load_settings()), workspace, days, tuple(environment or ())))


@keys.command("revoke-tokens")
def revoke_all_tokens() -> None:
    """End every token made so far."""
    from ingest.api.keyring import keys_path
    from ingest.api.own_tokens import revoke_tokens
    from ingest.settings import load_settings

    revoke_tokens(keys_path(load_settings()))
    print("no token made before is good any more")


@keys.command("rotate-identity")
def rotate_identity() -> None:
    """Hash identifiers with a new key from now on: the same person gets another actor_id, with the new key's id."""
    from ingest.api.key_changes import add_identity_key
    from ingest.api.keyring import keys_path
    from ingest.settings import load_settings

    print(f"identity key {add_identity_key(keys_path(load_settings())).key_id}")
