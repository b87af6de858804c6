"""The canonical event as the front door reads and writes it: workspace optional, context taken apart.

In: a body. Out: DoorEvent structs, whose encoding is canonical by construction: known fields once each, no whitespace,
nothing that was not decoded. What this struct takes is still to be checked by the rules in judging.py.
"""

from typing import Final

import msgspec

from ingest.contracts.agent_event import AgentEvent


class DoorEvent(AgentEvent, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False, kw_only=True):
    """AgentEvent as it comes in. Encoded, it leaves out what is missing."""

    workspace_id: str | None = None  # type: ignore[assignment]  # the credential fills it in
    context: dict[str, object] | None = None  # type: ignore[assignment]  # looked through, then written anew


def keep_number(text: str) -> msgspec.Raw:
    """A fraction in a context stays the text it came as."""
    return msgspec.Raw(text.encode())


EVENT: Final = msgspec.json.Decoder(DoorEvent, float_hook=keep_number)
EVENTS: Final = msgspec.json.Decoder(list[DoorEvent], float_hook=keep_number)
ENCODER: Final = msgspec.json.Encoder()
