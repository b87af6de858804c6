"""The doctor's checks in their order, and how they are run.

In: Settings. Out: a Finding for every check. A check that raises is a finding that fails; one whose service already
failed is not run, so that one cause is told once and waited for once.
"""

from dataclasses import dataclass

from ingest.doctor import door, machine, services
from ingest.doctor.findings import Check, Finding, Verdict, fail, warn
from ingest.errors import MeterhouseError
from ingest.kafka_errors import KafkaUnavailableError
from ingest.settings import Settings


@dataclass(frozen=True)
class Entry:
    """A check, its name, and the checks without which it has nothing to look at."""

    name: str
    check: Check
    needs: tuple[str, ...] = ()


CHECKS: tuple[Entry, ...] = (
    Entry("python", machine.python_version),
    Entry("libraries", machine.library_versions),
    Entry("open files", machine.open_files),
    Entry("home", machine.home_is_writable),
    Entry("disk", machine.disk),
    Entry("state", machine.stale_state),
    Entry("ports", machine.ports),
    Entry("clickhouse", services.clickhouse),
    Entry("clock", services.clickhouse_clock, needs=("clickhouse",)),
    Entry("migrations", services.migrations, needs=("clickhouse",)),
    Entry("kafka options", services.kafka_options),
    Entry("kafka", services.kafka, needs=("kafka options",)),
    Entry("topics", services.topics, needs=("kafka",)),
    Entry("lag", services.progress, needs=("clickhouse", "kafka")),
    Entry(door.CHECK, door.front_door),
)


def examine(settings: Settings, checks: tuple[Entry, ...] = CHECKS) -> list[Finding]:
    """Runs the checks one after the other; one finding each, in their order."""
    findings: list[Finding] = []
    for entry in checks:
        failed = {finding.check for finding in findings if finding.verdict is Verdict.FAIL}
        missing = [name for name in entry.needs if name in failed]
        if missing:
            findings.append(warn(entry.name, f"not looked at: {', '.join(missing)} failed", "mend that first"))
        else:
            findings.append(_run(entry, settings))
    return findings


def _run(entry: Entry, settings: Settings) -> Finding:
    try:
        return entry.check(settings)
    except KafkaUnavailableError as error:
        return fail(entry.name, error.seen, error.advice)
    except MeterhouseError as error:
        return fail(entry.name, str(error), "as it says")
    except Exception as error:  # noqa: BLE001  # the doctor reports whatever happens, and goes on
        words = str(error).splitlines()[0] if str(error) else "no words"
        return fail(entry.name, f"{type(error).__name__}: {words}", "report this with the log if it stays")
