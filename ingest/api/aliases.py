"""Spellings of older emitters rewritten to the contract's, identifiers and prompts to keyed hashes.

In: one event as JSON text. Out: the same in the contract's words, with the credential's workspace and environment, or
the reason why it may not pass under this credential. What is no JSON object passes as it is: judge() says why. A field
in both spellings keeps the contract's; nothing behind the door knows the others.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from ingest.api.credential import Credential
from ingest.contracts.denial import count, denied
from ingest.contracts.fields import FIELD_NAMES, RAW_IDENTIFIER_FIELDS
from ingest.contracts.privacy import DECODER
from ingest.contracts.pseudonyms import USER_NAMES, Pseudonyms, is_prompt

FIELD_ALIASES: Final[Mapping[str, str]] = {
    "ts": "occurred_at",
    "timestamp": "occurred_at",
    "app": "service",
    "type": "event_type",
    "env": "environment",
    "tenant_id": "workspace_id",
    "tokens_prompt": "input_tokens",
    "prompt_tokens": "input_tokens",
    "tokens_completion": "output_tokens",
    "completion_tokens": "output_tokens",
    "success": "status",
}
TYPE_ALIASES: Final[Mapping[str, str]] = {
    "run_started": "agent_run_started",
    "run_finished": "agent_run_finished",
    "token_usage": "llm_call",
}
_SECONDS_BELOW: Final = 100_000_000_000
"""An older emitter's number below this is seconds since 1970 (up to the year 5138), not milliseconds."""

Objection = tuple[str, str, str]
"""Error class, field, reason."""


class Rewriter:
    """Rewrites events; `pseudonyms` change when keys are rotated."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self.pseudonyms = pseudonyms

    def rewrite(
        self, raw: bytes, credential: Credential, dropped: dict[str, int], aliases: dict[str, int]
    ) -> tuple[Objection | None, bytes]:
        """The event in the contract's words. Counts by name what was hashed away, and which aliases came."""
        try:
            event = DECODER.decode(raw)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None, raw
        if not isinstance(event, dict):
            return None, raw
        _rename(event, aliases)
        objection = _stamp(event, credential)
        if objection is not None:
            return objection, raw
        self._hash_identity(event, credential.workspace_id, dropped)
        try:
            return None, msgspec.json.encode(event)
        except (msgspec.MsgspecError, OverflowError, ValueError, RecursionError):
            return None, raw  # a number that cannot be written again, say: judge() finds it too

    def _hash_identity(self, event: dict[str, object], workspace_id: str, dropped: dict[str, int]) -> None:
        """Users and prompts, wherever they stand in the event, become actor_id and prompt_hash where none is there."""
        for name in RAW_IDENTIFIER_FIELDS:
            given = event.get(name)
            if isinstance(given, str) and "@" in given:
                event[name] = self.pseudonyms.actor(workspace_id, given)
                count(dropped, name)
        context = event.get("context")
        for place in (event, context if isinstance(context, dict) else {}):
            for name, value in list(place.items()):
                rule = None if place is event and name in FIELD_NAMES else denied(name)
                if rule is None:
                    continue
                target, made = self._pseudonym(name, rule[1], workspace_id, value)
                if target and made is not None:
                    if not event.get(target):
                        event[target] = made
                    del place[name]
                    count(dropped, rule[1])

    def _pseudonym(self, name: str, rule: str, workspace_id: str, value: object) -> tuple[str, str | None]:
        if rule in USER_NAMES:
            return "actor_id", self.pseudonyms.actor(workspace_id, value)
        if is_prompt(name, rule):
            return "prompt_hash", self.pseudonyms.prompt(workspace_id, value)
        return "", None


def _rename(event: dict[str, object], aliases: dict[str, int]) -> None:
    for alias, name in FIELD_ALIASES.items():
        if alias not in event:
            continue
        value = _translated(alias, event[alias])
        if value is None and event[alias] is not None:
            continue  # not what older emitters wrote: stays an unknown field
        del event[alias]
        count(aliases, alias)
        if event.get(name) in (None, ""):
            event[name] = value
    event_type = event.get("event_type")
    if isinstance(event_type, str) and event_type in TYPE_ALIASES:
        count(aliases, event_type)
        event["event_type"] = TYPE_ALIASES[event_type]


def _translated(alias: str, value: object) -> object:
    """The value in the contract's unit and choice; None for what this alias never meant."""
    if alias == "success":
        return {True: "ok", False: "error"}.get(value) if isinstance(value, bool) else None
    if alias in ("ts", "timestamp"):
        return _milliseconds(value)
    return value


def _milliseconds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | msgspec.Raw):
        return value
    try:
        number = Decimal(value) if isinstance(value, int) else Decimal(bytes(value).decode())
    except (InvalidOperation, ValueError):
        return value
    if not abs(number) < Decimal(10) ** 15:
        return value
    return int(number * 1000) if abs(number) < _SECONDS_BELOW else int(number)


def _stamp(event: dict[str, object], credential: Credential) -> Objection | None:
    """Fills in what the credential decides; the objection where the event names something else."""
    workspace = event.get("workspace_id")
    if workspace in (None, ""):
        event["workspace_id"] = credential.workspace_id
    elif workspace != credential.workspace_id:
        return "wrong_workspace", "workspace_id", "workspace_id: the credential is for another workspace; leave it out."
    environment = event.get("environment")
    if environment in (None, ""):
        if credential.only_environment is not None:
            event["environment"] = credential.only_environment
    elif isinstance(environment, str) and not credential.may_name(environment):
        return "wrong_environment", "environment", "environment: the credential is not for this environment."
    return None
