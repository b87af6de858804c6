"""What the documents name exists: make targets, commands with their options, settings, files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from ingest import settings_docs
from ingest.building import docs as marts_docs
from ingest.settings import Settings

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SCRIPTS = [ROOT / ".ci" / "run", ROOT / ".github" / "workflows" / "ci.yml"]
# Read by the tests themselves, before there are settings.
TEST_VARIABLES = {
    "METERHOUSE_REQUIRE_JAVA",
    "METERHOUSE_REQUIRE_GO",
    "METERHOUSE_REQUIRE_NODE",
    "METERHOUSE_REQUIRE_CHROMIUM",
    "METERHOUSE_REQUIRE_COLLECTOR",
    "METERHOUSE_EXAMPLES",
}
# Read by programs that send to the front door, which have no settings of ours.
SENDER_VARIABLES = {"METERHOUSE_URL", "METERHOUSE_KEY", "METERHOUSE_SECRET", "METERHOUSE_TOKEN"}
CODE = re.compile(r"^(?: {4}|\t).+$|`[^`\n]+`", re.MULTILINE)


def code_of(file: Path) -> Iterator[str]:
    """Lines of code and words in backticks; of a script, each line."""
    text = file.read_text()
    if file in SCRIPTS:
        yield from text.splitlines()
        return
    for found in CODE.finditer(text):
        yield found[0].strip().strip("`").split("  #")[0]


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", [*DOCUMENTS, *SCRIPTS], ids=name)
def test_every_make_target_that_is_named_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        match[1] for code in code_of(file) for match in re.finditer(r"(?:^|part )make (?:[A-Z]+=\S+ )*([a-z-]+)", code)
    }
    assert named <= targets


@pytest.mark.parametrize("file", DOCUMENTS, ids=name)
def test_every_meterhouse_command_and_option_that_is_named_exists(file: Path) -> None:
    from ingest.cli import app

    root = get_command(app)
    wrong = []
    for code in code_of(file):
        for match in re.finditer(r"(?:^|\s|/)meterhouse((?: +[^\s|&;#]+)*)", code):
            complaint = complain(root, match[1].split())
            if complaint:
                wrong.append(f"{match[0].strip()}: {complaint}")
    assert not wrong


def complain(command: object, words: list[str]) -> str:
    """What is wrong with a command line, or nothing."""
    while isinstance(command, TyperGroup):
        following = [word.rstrip(",.;:)") for word in words[:1] if not word.startswith("-")]
        if not following:
            return ""
        if following[0] not in command.commands:
            return f"no command {following[0]}"
        command, words = command.commands[following[0]], words[1:]
    parameters = command.params  # type: ignore[attr-defined]  # typer shows its own click as object
    known = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    options = {word.strip("[]").split("=")[0] for word in words if word.strip("[]").startswith("--")}
    unknown = sorted(options - known - {"--help"})
    return f"no option {', '.join(unknown)}" if unknown else ""


MODELS = [
    ROOT / "profiles" / "profiles.yml",
    *sorted(file for folder in ("models", "macros") for file in ROOT.glob(f"{folder}/**/*.*")),
]


@pytest.mark.parametrize("file", [*DOCUMENTS, *SCRIPTS, *MODELS, *sorted(ROOT.glob("ingest/**/*.py"))], ids=name)
def test_every_variable_that_is_named_is_a_setting(file: Path) -> None:
    known = {f"METERHOUSE_{field.upper()}" for field in Settings.model_fields} | TEST_VARIABLES | SENDER_VARIABLES
    assert set(re.findall(r"METERHOUSE_[A-Z][A-Z_]*[A-Z]", file.read_text())) <= known


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    assert settings_docs.PAGE.read_text() == settings_docs.page(), "run python -m ingest.settings_docs"


def test_the_page_of_marts_is_what_their_yaml_says() -> None:
    assert (ROOT / marts_docs.PAGE).read_text() == marts_docs.page(), "run python -m ingest.building.docs"


@pytest.mark.parametrize("file", DOCUMENTS, ids=name)
def test_every_link_to_a_file_leads_somewhere(file: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text())
    assert [link for link in links if not (file.parent / link).exists()] == []
