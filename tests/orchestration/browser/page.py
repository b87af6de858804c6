"""Dagster's page as a person uses it: addresses, texts that are seen, buttons that are pressed.

Nothing here knows Dagster's markup beyond the texts on it, which its users read too. What does not appear within the
deadline is an AssertionError with the text that was there instead.
"""

import re
from dataclasses import dataclass

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

GRAPH = "/asset-groups"
_SHOWN = 1_500


def of_asset(key: str, view: str = "", check: str = "") -> str:
    """The path of an asset's page, such as `marts/llm_daily`; `view` is a tab, `check` one of its checks."""
    asked = "&".join(f"{name}={value}" for name, value in (("view", view), ("checkDetail", check)) if value)
    return f"/assets/{key}" + (f"?{asked}" if asked else "")


@dataclass(frozen=True)
class Page:
    """A browser at an address."""

    driver: WebDriver
    address: str
    within_s: float = 60.0

    def open(self, path: str) -> None:
        self.driver.get(f"{self.address}{path}")

    @property
    def text(self) -> str:
        """All that can be read now."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def expect(self, pattern: str) -> "re.Match[str]":
        """Waits until the page's text has the pattern; returns where."""

        def look(_: WebDriver) -> "re.Match[str] | None":
            return re.search(pattern, self.text)

        waiting = WebDriverWait(self.driver, self.within_s, ignored_exceptions=[StaleElementReferenceException])
        try:
            found = waiting.until(look)
        except TimeoutException:
            raise AssertionError(
                f"{pattern!r} did not appear at {self.driver.current_url}: {self.text[:_SHOWN]}"
            ) from None
        assert found is not None
        return found

    def press(self, label: str, *, within: str = "//body") -> None:
        """Clicks the button whose text begins with the label, once it can be clicked."""

        def look(_: WebDriver) -> WebElement | None:
            for button in self.driver.find_elements(By.XPATH, f"{within}//button"):
                if button.text.strip().startswith(label) and button.is_enabled():
                    return button
            return None

        waiting = WebDriverWait(self.driver, self.within_s, ignored_exceptions=[StaleElementReferenceException])
        try:
            found = waiting.until(look)
        except TimeoutException:
            raise AssertionError(f"no button {label!r} at {self.driver.current_url}: {self.text[:_SHOWN]}") from None
        assert found is not None
        found.click()
