"""Whose a record is and where it stood: resources, scopes, messages of a batch of export requests, as indices.

In: a batch of otlp_wire and what each message's headers say. Out: a Frame: for each record its scope, resource and
message, its number within the message, the workspace, and which records cannot land so far. What the credential decided
(the headers) wins over what the producer says in attributes of its resource.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.contracts.fields import WORKSPACE_PATTERN
from ingest.loader.otlp_attributes import Attributes, Counts
from ingest.loader.otlp_columns import Index, repeated, unfold

ENVIRONMENT: Final = "meterhouse.environment"
WORKSPACE: Final = "meterhouse.workspace_id"
SERVICE: Final = "service.name"
# In this order; the first that the resource has counts.
WORKSPACES: Final = (WORKSPACE, "workspace.id", "tenant.id")
_ASKED: Final = (*WORKSPACES, SERVICE, ENVIRONMENT)
_WORKSPACE: Final = re.compile(WORKSPACE_PATTERN.rstrip("$"))

# Why a record cannot land; 0: it can.
Flaw = npt.NDArray[np.int8]
NO_FLAW, NO_WORKSPACE, BAD_WORKSPACE, BAD_TRACE_ID, BAD_SPAN_ID, BAD_TIME, TOO_LARGE = range(7)
# (error class, field, words) of each.
FLAWS: Final[Mapping[int, tuple[str, str, str]]] = {
    NO_WORKSPACE: (
        "missing_field",
        "workspace_id",
        (
            "expected the header meterhouse-workspace, or a resource attribute meterhouse.workspace_id, workspace.id "
            "or tenant.id, or METERHOUSE_OTLP_WORKSPACE, came none"
        ),
    ),
    BAD_WORKSPACE: ("bad_identifier", "workspace_id", f"expected {WORKSPACE_PATTERN}, came something else"),
    BAD_TRACE_ID: ("bad_identifier", "trace_id", "expected 16 bytes that are not all zero, came something else"),
    BAD_SPAN_ID: ("bad_identifier", "span_id", "expected 8 bytes that are not all zero, came something else"),
    BAD_TIME: (
        "outside_time_window",
        "time_unix_nano",
        "expected a time within METERHOUSE_EVENT_MAX_AGE_DAYS and METERHOUSE_EVENT_MAX_FUTURE_S, came another",
    ),
    TOO_LARGE: (
        "too_large",
        "",
        (
            "expected attributes of resource and scope that, repeated for every record, stay below 32 times the "
            "message, came more"
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a message's headers say: the workspace and the environment that its credential decided, '' for none."""

    workspace: str = ""
    environment: str = ""


class Frame:
    """The upper levels of a batch; records are known after `place`."""

    def __init__(
        self, batch: pa.RecordBatch, said: Sequence[Said], sizes: Sequence[int], otherwise: str, counts: Counts
    ) -> None:
        """`otherwise` is the workspace of resources that name none; '' refuses them."""
        self.resources, self._message_of_resource = unfold(batch.column(0))
        self.scopes, self._resource_of_scope = unfold(self.resources.field(1))
        self._sizes = np.array(sizes, dtype=np.int64)
        self.counts = counts
        self._resource_attributes = Attributes(self.resources.field("resource").field("attributes"), counts)
        self.scope = self.scopes.field("scope")
        self._scope_attributes = Attributes(self.scope.field("attributes"), counts)
        picked = self._resource_attributes.pick(_ASKED)
        owners = [said[message] for message in self._message_of_resource.tolist()]
        self._services = [one.get(SERVICE, "") for one in picked]
        self._environments = [
            owner.environment or one.get(ENVIRONMENT, "")[:128] for owner, one in zip(owners, picked, strict=True)
        ]
        self._workspaces = [
            owner.workspace or next((one[name] for name in WORKSPACES if one.get(name)), otherwise)
            for owner, one in zip(owners, picked, strict=True)
        ]

    def place(self, scope_of: Index) -> "Placed":
        """Where records stand whose scopes are `scope_of`, ascending."""
        resource_of = self._resource_of_scope[scope_of]
        message_of = self._message_of_resource[resource_of]
        flaws = np.array([_flaw_of(one) for one in self._workspaces] or [0], dtype=np.int8)[resource_of]
        repeated_bytes = (self._resource_attributes.sizes()[resource_of] if len(resource_of) else resource_of) + (
            self._scope_attributes.sizes()[scope_of] if len(scope_of) else scope_of
        )
        grown = np.bincount(message_of, weights=repeated_bytes, minlength=len(self._sizes))
        is_too_large = grown > 65_536 + 32 * self._sizes
        flaws = np.where((flaws == NO_FLAW) & is_too_large[message_of], TOO_LARGE, flaws).astype(np.int8)
        first = np.searchsorted(message_of, message_of, side="left")
        return Placed(self, scope_of, resource_of, message_of, np.arange(len(message_of)) - first, flaws)

    @cached_property
    def resource_maps(self) -> pa.Array:
        """The attributes of each resource; made once, whatever number of tables asks."""
        return self._resource_attributes.maps()

    @cached_property
    def scope_maps(self) -> pa.Array:
        """The attributes of each scope."""
        return self._scope_attributes.maps()

    def owner_columns(self, resource_of: Index) -> dict[str, pa.Array]:
        return {
            "workspace_id": repeated(self._workspaces, resource_of),
            "_environment": repeated(self._environments, resource_of),
        }

    def service_names(self, resource_of: Index) -> pa.Array:
        return repeated(self._services, resource_of)


@dataclass(frozen=True, slots=True)
class Placed:
    """Records in their places, in the order of the messages; `number` is a record's place within its message."""

    frame: Frame
    scope_of: Index
    resource_of: Index
    message_of: Index
    number: Index
    flaws: Flaw

    def flawed(self, more: Flaw) -> "Placed":
        """With further flaws; the first found of a record counts."""
        flaws = np.where(self.flaws == NO_FLAW, more, self.flaws).astype(np.int8)
        return Placed(self.frame, self.scope_of, self.resource_of, self.message_of, self.number, flaws)

    def take(self, chosen: Index) -> "Placed":
        return Placed(
            self.frame,
            self.scope_of[chosen],
            self.resource_of[chosen],
            self.message_of[chosen],
            self.number[chosen],
            self.flaws[chosen],
        )

    @property
    def good(self) -> Index:
        """The records that can land."""
        return np.flatnonzero(self.flaws == NO_FLAW)


def _flaw_of(workspace: str) -> int:
    if not workspace:
        return NO_WORKSPACE
    return NO_FLAW if _WORKSPACE.fullmatch(workspace) else BAD_WORKSPACE
