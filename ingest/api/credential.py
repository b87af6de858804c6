"""Who a request is from, once that is proved: the workspace it writes into, and how much it may send."""

import re
from dataclasses import dataclass
from typing import Final

from ingest.contracts.fields import WORKSPACE_PATTERN

WORKSPACE: Final = re.compile(WORKSPACE_PATTERN.rstrip("$"))
"""For fullmatch."""


@dataclass(frozen=True, slots=True)
class Credential:
    """`name` is a key's id, or `jwt` and the token's workspace: what rates are counted by. Never a secret."""

    name: str
    workspace_id: str
    environments: tuple[str, ...] = ()
    """Environments it may name; empty: any. Exactly one: events that name none get it."""
    events_per_s: float = 0.0
    """0: the default of the settings."""

    @property
    def only_environment(self) -> str | None:
        """The environment that this credential fixes."""
        return self.environments[0] if len(self.environments) == 1 else None

    def may_name(self, environment: str) -> bool:
        """Whether an event that names this environment may pass."""
        return not self.environments or environment in self.environments
