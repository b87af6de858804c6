"""The pictures of docs/images, taken from a stack that runs: `make pictures` after `make up`.

In: METERHOUSE_* of that stack, and data in it that may be shown, such as `make demo` leaves. Out: one small PNG a view.
Nothing of the machine is on them: Dagster's page shows no paths on these tabs, and the window has no address bar.
"""

import sys
import tempfile
import time
from pathlib import Path

from ingest.settings import load_settings
from orchestration.parts import page
from tests.orchestration.browser.page import GRAPH, Page, of_asset
from tests.support.chromium import browser, why_absent

FOLDER = Path(__file__).parents[3] / "docs" / "images"
MOST_BYTES = 200_000
# Name, path, and what is read on the page once it is drawn: a mart whose checks have all ended alike, one that passed.
VIEWS = (
    ("dagster-graph", GRAPH, r"marts_llm"),
    ("dagster-mart", of_asset("marts/llm_daily"), r"Latest check results\s+\d+\s+Freshness policy\s+Passing"),
    ("dagster-check", of_asset("marts/llm_daily", "checks", "fresh"), r"(?s)Evaluation result\s+Passed.*Metadata"),
)
# What runs by itself evaluates checks, and until it has ended they are in progress.
WITHIN_S = 300.0
# Animations and the graph's layout, after the text is there.
SETTLED_AFTER_S = 3.0


def main() -> int:
    absent = why_absent()
    if absent is not None:
        print(absent, file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile), width=1440, height=900) as driver:
        shown = Page(driver, page(load_settings()), within_s=WITHIN_S)
        for name, path, pattern in VIEWS:
            shown.open(path)
            shown.expect(pattern)
            time.sleep(SETTLED_AFTER_S)
            file = FOLDER / f"{name}.png"
            driver.save_screenshot(str(file))
            size = file.stat().st_size
            print(f"{file.relative_to(FOLDER.parents[1])}: {size:,} bytes")
            if size > MOST_BYTES:
                print(f"{file.name} is larger than {MOST_BYTES:,} bytes", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
