"""Lands what Kafka holds, by the loader itself, as a process of its own, with its own signals, threads and exit code.

In: Settings and a name for the ledger that nobody else has. Out: what this very drain landed, read from the ledger by
that name. A loader that stops with an error raises MeterhouseError with its last words; what it had claimed is taken up
next time. It listens on a port of its own choice, so it disturbs no service on the same machine.
"""

import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ingest.embedded.processes import METERHOUSE
from ingest.embedded.stack import environment
from ingest.errors import MeterhouseError
from orchestration.lib.arrivals import Landed

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings

_LAST_LINES: Final = 8


def drain(settings: "Settings", owner: str, say: Callable[[str], None]) -> None:
    """Returns when all that the topics held at its start is in, whoever landed it. `say` gets the loader's lines."""
    argv = [*METERHOUSE, "load", "--drain", "--owner", owner, "--processes", "1"]
    given = {**os.environ, **environment(settings), "METERHOUSE_METRICS_PORT": "0"}
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603  # our own interpreter and words
        argv, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                last = [*last, line.rstrip("\n")][-_LAST_LINES:]
                say(last[-1])
        except BaseException:
            # Stopped from outside: the loader lands what it holds and leaves the group.
            process.terminate()
            raise
    if process.returncode:
        raise MeterhouseError(
            f"The loader stopped with exit code {process.returncode} before all was in; what it claimed is taken up by "
            f"the next one. It said: {' / '.join(last)}"
        )


def drained(client: "Client", settings: "Settings", owner: str) -> dict[str, Landed]:
    """By topic what the loader of this name landed."""
    rows = client.query(
        "select topic, sum(landed), sum(rejected), sum(lost), count(), sum(messages) "  # noqa: S608  # a name from checked settings
        f"from {settings.database('ops')}.load_batches final where owner = {{owner:String}} "
        "and judged_at > now() - interval 2 day group by topic order by topic",
        parameters={"owner": owner},
    ).result_rows
    return {str(topic): Landed(*(int(value) for value in sums)) for topic, *sums in rows}
