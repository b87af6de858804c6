"""`python -m tests.chaos --rounds 20 --seed S [--broker embedded|apache|both]`: attacks the loader and counts.

Exit code 0 when every produced event landed exactly once and every malformed one is a dead letter exactly once, in
every round; 1 otherwise, with the seed to repeat it and the folder with the logs.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ingest.errors import MeterhouseError
from tests.chaos.arena import Arena
from tests.chaos.round import Outcome, Round
from tests.support import apache_kafka


def attack(broker: str, rounds: range, seed: int, rate: int, folder: Path, console: Console) -> list[Outcome]:
    """The rounds on one broker, each printed as it ends."""
    outcomes = []
    with Arena(folder, broker, seed) as arena:
        for number in rounds:
            played = Round(arena, seed, number, rate)
            outcome = played.play()
            outcomes.append(outcome)
            verdict = outcome.verdict
            mark = "[green]ok[/]" if not verdict.complaints else "[red]FAILED[/]"
            console.print(
                f"{mark} {broker} round {number + 1}: {'; '.join(outcome.faults)} | {verdict.produced} produced, "
                f"{verdict.landed} landed, {verdict.rejected} rejected, {outcome.seconds:.0f} s"
            )
            for complaint in verdict.complaints:
                console.print(f"   {escape(complaint)}", style="red")
            for note in outcome.notes:
                console.print(f"   note: {escape(note)}", style="yellow")
            if not verdict.complaints:
                try:
                    played.remove()
                except (
                    ClickHouseError,
                    MeterhouseError,
                ) as error:  # the count is made; what is left is in a temp folder
                    console.print(
                        f"   note: round {number + 1} was not cleared away: {escape(str(error))}", style="yellow"
                    )
    return outcomes


def show(outcomes: list[tuple[str, Outcome]], console: Console) -> None:
    """All rounds as one table."""
    table = Table("round", "broker", title="chaos", title_justify="left")
    table.add_column("faults (begin + length)", no_wrap=True)
    for heading in ("produced", "landed", "rejected", "lost", "doubled", "seconds"):
        table.add_column(heading, justify="right")
    for broker, outcome in outcomes:
        verdict = outcome.verdict
        counts = (verdict.produced, verdict.landed, verdict.rejected, verdict.lost, verdict.doubled)
        style = "red" if verdict.complaints else ""
        cells = [str(outcome.number + 1), broker, "\n".join(outcome.faults), *(f"{count:,}" for count in counts)]
        table.add_row(*cells, f"{outcome.seconds:.0f}", style=style)
    console.print(table)


def main() -> int:
    """Parse, attack, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="number of the first round, to repeat one of a seed")
    parser.add_argument("--seed", type=int, help="draws the faults; unset: a new one, printed")
    parser.add_argument("--rate", type=int, default=3_000, help="messages a second")
    parser.add_argument("--broker", choices=("embedded", "apache", "both"), default="embedded")
    given = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 120)  # a log file is as wide as it likes
    if given.broker != "embedded" and (reason := apache_kafka.why_absent()) is not None:
        console.print(f"[red]{escape(reason)}[/]: install it, or run with --broker embedded.")
        return 1
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(100_000)
    console.print(f"seed {seed}")
    folder = Path(tempfile.mkdtemp(prefix="meterhouse-chaos-"))
    outcomes: list[tuple[str, Outcome]] = []
    numbers = range(given.first - 1, given.first - 1 + given.rounds)
    half = (given.rounds + 1) // 2
    shares = (
        {given.broker: numbers} if given.broker != "both" else {"embedded": numbers[:half], "apache": numbers[half:]}
    )
    for broker, share in shares.items():
        done = attack(broker, share, seed, given.rate, folder / broker, console)
        outcomes += [(broker, outcome) for outcome in done]
    show(outcomes, console)
    failed = [(broker, one.number + 1) for broker, one in outcomes if one.verdict.complaints]
    if failed:
        again = f"python -m tests.chaos --seed {seed} --first {failed[0][1]} --rounds 1 --broker {failed[0][0]}"
        console.print(f"[red]{len(failed)} of {len(outcomes)} rounds failed.[/] Logs: {folder}. Repeat: {again}")
        return 1
    events = sum(one.verdict.produced for _, one in outcomes)
    console.print(f"[green]{len(outcomes)} rounds, {events:,} messages: none lost, none doubled.[/]")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
