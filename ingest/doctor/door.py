"""The front door: whether it answers and takes, who could get in, and whether its keys are for its owner only.

Nothing is changed: a file of keys that is not there yet is not made.
"""

from ingest.api.keyring import keys_path, read_keys
from ingest.api.part import PART, door_address
from ingest.doctor.findings import Finding, fail, ok, warn
from ingest.embedded import processes
from ingest.embedded.parts import Keeper
from ingest.embedded.stack import asked
from ingest.settings import Settings

CHECK = "front door"


def front_door(settings: Settings) -> Finding:
    """Running as a part, by hand, or not at all, which is somebody's choice."""
    path = keys_path(settings)
    if path.exists() and path.stat().st_mode & 0o077:
        return fail(CHECK, f"{path} can be read by others", f"`chmod 600 {path}`, then `meterhouse keys rotate`")
    address, keeper = door_address(settings), Keeper(settings.home)
    known = keeper.remembered().get(PART)
    is_part = known is not None and keeper.is_alive(known)
    answer = asked(f"{address}/readyz")
    if answer == 200:
        count = len(read_keys(path).keys) if path.exists() else 0
        seen = f"takes events and OTLP at {address}, {count} keys"
        if count or settings.api_jwks:
            return ok(CHECK, seen)
        return warn(CHECK, seen, "nobody can get in: `meterhouse keys make WORKSPACE`")
    if answer:
        return fail(CHECK, f"{address} answers {answer} on /readyz", f"{address}/readyz says why; look at Kafka first")
    if is_part:
        return fail(CHECK, f"runs but does not answer at {address}", f"see {keeper.log_file(PART)}")
    if settings.api_port and not processes.is_port_free(settings.api_host, settings.api_port):
        owner = processes.port_owner(settings.api_port) or "another process"
        return fail(CHECK, f"{settings.api_port} is taken by {owner}", "stop it, or set METERHOUSE_API_PORT")
    return ok(CHECK, f"not running; `meterhouse up` or `meterhouse serve` starts it at {address}")
