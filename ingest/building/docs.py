"""docs/marts.md: what each number of each mart means, from the models' own YAML. Run `python -m ingest.building.docs`.

In: models/marts and models/alerts. Out: the page; a test holds it against them, so that nobody writes a meaning twice.
"""

from collections import defaultdict
from pathlib import Path
from typing import Final

from ingest.building.dbt import project_folder
from ingest.building.properties import Model, read_models

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


def page() -> str:
    """The whole page."""
    marts: dict[str, list[Model]] = defaultdict(list)
    for file in sorted((project_folder() / "models" / "marts").glob("*/*.yml")):
        marts[file.parent.name] += read_models(file)
    parts = [_HEAD]
    for folder, title in FOLDERS.items():
        if marts[folder]:
            parts.append(f"## {title}\n")
            parts += [_mart(model) for model in marts[folder]]
    alerts = [
        one for file in sorted((project_folder() / "models" / "alerts").glob("*.yml")) for one in read_models(file)
    ]
    parts.append("## Alerts\n\nAll of one shape, together `alerts_current`.\n")
    parts.append(
        "| alert | says |\n| --- | --- |\n"
        + "".join(f"| `{one.name}` | {_line(one.description)} |\n" for one in alerts)
    )
    return "\n".join(parts)


def _mart(model: Model) -> str:
    rows = "".join(f"| `{one.name}` | {_line(one.description)} | {_line(one.data_type)} |\n" for one in model.columns)
    return (
        f"### {model.name}\n\n{' '.join(model.description.split())} Owner: {model.config.meta.owner}.\n\n"
        f"| column | means | type |\n| --- | --- | --- |\n{rows}"
    )


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    (project_folder() / PAGE).write_text(page())
