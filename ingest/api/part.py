"""The front door as a part of the stack, and the first key: what `meterhouse up` needs so that an agent can send.

In: Settings. Out: the Part; on the first start a key for one workspace, and a small file of variables for a shell, for
its owner only. Where there are keys already, or an identity provider, nothing is made. A folder that cannot be written,
or a port of 0, is a MeterhouseError. No secret is printed.
"""

from pathlib import Path
from typing import Final

from ingest.api.key_changes import first_key as make_first
from ingest.api.keyring import SigningKey, keys_path, read_keys, write_private
from ingest.embedded.parts import Part
from ingest.embedded.processes import METERHOUSE
from ingest.embedded.stack import asked, environment
from ingest.errors import MeterhouseError
from ingest.settings import Settings

PART: Final = "door"
FIRST_WORKSPACE: Final = "default"
_TOKEN_DAYS: Final = 90.0
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # an address to be asked instead of


def door_part(settings: Settings) -> Part:
    """Healthy when its /readyz says so: it answers, and Kafka acknowledges."""
    if settings.api_port == 0:
        raise MeterhouseError(
            "The stack asks the front door for its health on a fixed port: set METERHOUSE_API_PORT to one above 0."
        )
    address = door_address(settings)
    return Part(
        name=PART,
        argv=(*METERHOUSE, "serve"),
        address=address,
        host=settings.api_host,
        port=settings.api_port,
        port_variable="METERHOUSE_API_PORT",
        is_healthy=lambda: asked(f"{address}/readyz") == 200,
        env=environment(settings),
        stop_within_s=settings.api_drain_deadline_s + 10,
    )


def door_address(settings: Settings) -> str:
    """Where a program on this machine sends to."""
    scheme = "https" if settings.api_tls_certificate else "http"
    return f"{scheme}://{_host(settings)}:{settings.api_port}"


def sending_file(settings: Settings) -> Path | None:
    """The file of variables of the workspace `default`, written anew; None where keys are somebody's own doing."""
    from ingest.api.own_tokens import mint_token

    path = keys_path(settings)
    try:
        key = None if settings.api_jwks and not read_keys(path).keys else make_first(path, FIRST_WORKSPACE)
        if key is None:
            return None
        token = mint_token(path, key.workspace_id, _TOKEN_DAYS)
        variables = settings.home.absolute() / "door" / f"{FIRST_WORKSPACE}.env"
        variables.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(variables, _exports(settings, key, token))
    except OSError as error:
        raise MeterhouseError(
            f"The keys of the front door cannot be written to {error.filename or path} ({error.strerror}): set "
            "METERHOUSE_HOME, or METERHOUSE_API_KEYS_FILE, to what can be."
        ) from error
    return variables


def _exports(settings: Settings, key: SigningKey, token: str) -> bytes:
    address = door_address(settings)
    values = {
        "METERHOUSE_URL": address,
        "METERHOUSE_KEY": key.key_id,
        "METERHOUSE_SECRET": key.secrets[0],
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
    }
    head = f"# What a program of workspace {key.workspace_id} sends with; `meterhouse up` writes it anew.\n"
    return (head + "".join(f"export {name}='{value}'\n" for name, value in values.items())).encode()


def _host(settings: Settings) -> str:
    host = _ANYWHERE.get(settings.api_host, settings.api_host)
    return f"[{host}]" if ":" in host else host
