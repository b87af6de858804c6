"""A headless Chromium that a test or a script drives.

`why_absent()` says what is missing for that on this machine; METERHOUSE_REQUIRE_CHROMIUM=1 turns the absence into a
failure. `browser()` gives a selenium driver with a profile of its own, ended with the block, also when that fails.
Nothing is downloaded: browser and driver are the machine's (Debian: packages chromium and chromium-driver).
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def is_required() -> bool:
    return os.environ.get("METERHOUSE_REQUIRE_CHROMIUM") == "1"


def why_absent() -> str | None:
    """The reason why no page can be driven here; None when one can."""
    if _browser() is None:
        return "Dagster's page is driven by Chromium, and there is none on PATH: scripts/get-chromium installs it"
    if shutil.which("chromedriver") is None:
        return "Chromium is driven by chromedriver, and there is none on PATH: scripts/get-chromium installs it"
    return None


def _browser() -> str | None:
    return next((found for name in _BROWSERS if (found := shutil.which(name))), None)


@contextlib.contextmanager
def browser(profile: Path, *, width: int = 1440, height: int = 900) -> Iterator[webdriver.Chrome]:
    """A window of that size in CSS pixels, in English and UTC; `profile` is an empty folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = _browser() or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",  # root in a container has no user namespaces
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-proxy-server",
        "--lang=en-US",
        f"--window-size={width},{height}",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    service = Service(shutil.which("chromedriver"), env={**os.environ, "TZ": "UTC"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_page_load_timeout(60)
        yield driver
    finally:
        driver.quit()
