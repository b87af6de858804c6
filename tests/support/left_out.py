"""Tests that a plain run leaves out, with a reason, because they take minutes: `-m MARKER` runs them."""

import pytest


def leave_out(config: pytest.Config, items: list[pytest.Item], *, marker: str, reason: str) -> None:
    """Skips the items with the marker unless -m names it."""
    if marker in str(config.getoption("-m")):
        return
    for item in items:
        if item.get_closest_marker(marker) is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
