"""What placeholders become, against files a reviewer reads.

`python -m tests.unit.schema.test_engines` rewrites them.
"""

import re
from pathlib import Path

import pytest

from ingest.schema.engines import Layout, TemplateError, render
from ingest.schema.files import load_bookkeeping, load_migrations

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS = {
    "one_node.sql": Layout(),
    "cluster.sql": Layout(database_prefix="acme_", cluster="{cluster}", retention_days=400),
}


def rendered(layout: Layout) -> str:
    parts = []
    for migration in [load_bookkeeping(), *load_migrations()]:
        parts += [f"-- {migration.file}\n{statement};\n" for statement in migration.statements(layout)]
    return "\n".join(parts)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_statement_is_what_the_golden_file_shows(name: str) -> None:
    assert rendered(LAYOUTS[name]) == (GOLDEN / name).read_text("utf-8")


def test_on_a_cluster_every_table_is_replicated_and_made_everywhere() -> None:
    for statement in rendered(LAYOUTS["cluster.sql"]).split(";\n"):
        if "create " not in statement:
            continue
        assert "on cluster '{cluster}'" in statement
        engine = re.search(r"^engine = (\w+)", statement, re.MULTILINE)
        if "create table" in statement:
            assert engine is not None
            assert engine.group(1).startswith(("Replicated", "Distributed"))


def test_claims_are_never_partitioned_since_tokens_count_within_a_partition() -> None:
    (claims,) = [one for one in rendered(Layout()).split(";\n") if "claimed_at" in one]
    assert "partition by" not in claims


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("select 1\n{{raww}}", "x.sql line 2: unknown placeholder {{raww}}"),
        ("{{sharded}}", "unknown placeholder {{sharded}}"),
        ("{{raw agent_events}}", "unknown placeholder"),
        ("{{sharded SummingMergeTree(x)}}", "expected MergeTree or ReplacingMergeTree"),
        ("{{stored marts.costs}}", "expected raw.<table> or ops.<table>"),
        ("{{dedup_window many}}", "expected a number of blocks"),
        ("{{ raw", "a {{ that is no placeholder"),
    ],
)
def test_a_placeholder_that_does_not_fit_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(says)):
        render(text, Layout(), "x.sql")


def test_a_retention_beyond_what_a_datetime_can_hold_is_for_ever() -> None:
    assert Layout(retention_days=36_500).ttl_days is None
    assert Layout(retention_days=90).ttl_days == 90


if __name__ == "__main__":
    for name, layout in LAYOUTS.items():
        (GOLDEN / name).write_text(rendered(layout), "utf-8")
