"""The seeds brought up to the installed package: what they would be, and the writing of them.

In: the folder of the seeds and the day from which undated changes count. Out: an Update, whose files are written only
by `write`. A seed that was edited by hand raises MeterhouseError before anything is written.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ingest.errors import MeterhouseError
from ingest.prices import history, names, seed
from ingest.prices.history import Change
from ingest.prices.package import Catalogue, read_package


@dataclass(frozen=True)
class SeedFile:
    """One seed: what it holds and what it would hold."""

    path: Path
    before: str
    after: str

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to write."""
        return self.before == self.after


@dataclass(frozen=True)
class Update:
    """What the package makes of the seeds."""

    files: tuple[SeedFile, ...]
    changes: list[Change]
    catalogue: Catalogue
    unwritable_rules: list[str]

    @property
    def is_current(self) -> bool:
        """Whether the seeds are what the package gives."""
        return all(file.is_current for file in self.files)

    def write(self) -> list[Path]:
        """Write what differs; a reader sees the old file or the new one, never half of one."""
        written = []
        for file in self.files:
            if not file.is_current:
                beside = file.path.with_suffix(".csv.new")
                beside.write_text(file.after, encoding="utf-8")
                beside.replace(file.path)
                written.append(file.path)
        return written


def find_seeds(start: Path) -> Path:
    """The folder seeds/ of the project around `start`; raises MeterhouseError outside of one."""
    for folder in (start, *start.parents):
        if (folder / "dbt_project.yml").exists():
            return folder / "seeds"
    raise MeterhouseError(
        f"no dbt_project.yml in or above {start}: run meterhouse prices inside the project, or name the folder of the "
        "seeds with --seeds"
    )


def plan_update(folder: Path, effective: date, *, restate: bool = False) -> Update:
    """What the seeds in `folder` would become with the installed package."""
    if not folder.is_dir():
        raise MeterhouseError(f"there is no folder {folder}; --seeds names the folder of model_prices.csv")
    catalogue = read_package()
    prices, rules = folder / seed.FILE, folder / names.FILE
    timelines, changes = history.merge(
        seed.load(prices), catalogue.timelines, catalogue.version, effective, restate=restate
    )
    package_rules, unwritable = names.read_rules()
    files = (
        SeedFile(prices, _text(prices), seed.dump(timelines)),
        SeedFile(rules, _text(rules), names.dump(names.keep_dropped(names.load(rules), package_rules))),
    )
    return Update(files, changes, catalogue, unwritable)


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8") if file.exists() else ""
