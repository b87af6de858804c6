"""docs/marts.md: what each number of each mart means, from the models' own YAML. Run `python -m ingest.building.docs`.

In: models/marts and models/alerts. Out: the page; a test holds it against them, so that nobody writes a meaning twice.
"""

from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec
import yaml

from ingest.building.dbt import project_folder

PAGE: Final = Path("docs/marts.md")
FOLDERS: Final = {
    "llm": "Models",
    "reliability": "Reliability",
    "slo": "Objectives",
    "cost": "Cost",
    "product": "Product",
    "ops": "The pipeline itself",
}
_HEAD: Final = """\
# What each number means

Made from the models' YAML by `python -m ingest.building.docs`; change it there. Times are UTC, money is USD as an exact
decimal, a rate or share is 0 to 1 and null where there is nothing to divide by. `dbt docs generate` shows the same with
lineage. [How the models are built](models.md) says when a number can still change.
"""


class _Column(msgspec.Struct):
    name: str
    description: str = ""
    data_type: str = ""


class _Meta(msgspec.Struct):
    owner: str = ""


class _Config(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Model(msgspec.Struct):
    name: str
    description: str = ""
    config: _Config = msgspec.field(default_factory=_Config)
    columns: list[_Column] = msgspec.field(default_factory=list)


class _File(msgspec.Struct):
    models: list[_Model] = msgspec.field(default_factory=list)


def page() -> str:
    """The whole page."""
    marts: dict[str, list[_Model]] = defaultdict(list)
    for file in sorted((project_folder() / "models" / "marts").glob("*/*.yml")):
        marts[file.parent.name] += _models(file)
    parts = [_HEAD]
    for folder, title in FOLDERS.items():
        if marts[folder]:
            parts.append(f"## {title}\n")
            parts += [_mart(model) for model in marts[folder]]
    alerts = [one for file in sorted((project_folder() / "models" / "alerts").glob("*.yml")) for one in _models(file)]
    parts.append("## Alerts\n\nAll of one shape, together `alerts_current`.\n")
    parts.append(
        "| alert | says |\n| --- | --- |\n"
        + "".join(f"| `{one.name}` | {_line(one.description)} |\n" for one in alerts)
    )
    return "\n".join(parts)


def _models(file: Path) -> list[_Model]:
    return msgspec.convert(yaml.safe_load(file.read_text()) or {}, type=_File).models


def _mart(model: _Model) -> str:
    rows = "".join(f"| `{one.name}` | {_line(one.description)} | {_line(one.data_type)} |\n" for one in model.columns)
    return (
        f"### {model.name}\n\n{' '.join(model.description.split())} Owner: {model.config.meta.owner}.\n\n"
        f"| column | means | type |\n| --- | --- | --- |\n{rows}"
    )


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    (project_folder() / PAGE).write_text(page())
