"""Writes docs/settings.md from Settings, so that the page says what they are: `python -m ingest.settings_docs`."""

from pathlib import Path

from ingest.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
_HEAD = """\
# Settings

Every setting is an environment variable, read once at the start. A wrong one stops the start with a sentence that names
it; nothing is started then. Units are in the names: `_s` seconds, `_bytes` bytes, `_days` days. This page is written by
`python -m ingest.settings_docs`.

| variable | default | meaning |
| --- | --- | --- |
"""


def page() -> str:
    """The whole page as Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `METERHOUSE_{name.upper()}` | {_shown(default)} | {meaning} |\n")
    return _HEAD + "".join(rows)


def _shown(default: object) -> str:
    if default is None or default in ("", {}):
        return "unset"
    return f"`{','.join(map(str, default)) if isinstance(default, tuple) else default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
