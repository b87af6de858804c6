"""Keyed hashes in place of identifiers and prompts: the same one gives the same name, and nobody gets it back.

In: a workspace and a value. Out: `<key id>:<32 hexadecimal digits>`. Names are of one workspace: equal people in two
differ. The first key makes new names; its id stays in them, so that a rotation is visible in the data.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USER_NAMES: Final = frozenset(
    _names("""
user_id end_user_id enduser_id enduser user llm_user session_user current_user visitor_id anonymous_id distinct_id
person_id member_id
""")
)
"""Rules of the deny list (denied_names.py) whose value says who asked; the first that is there becomes actor_id."""

PROMPT_RULES: Final = frozenset(
    _names("""
prompt prompts messages message input inputs question instruction instructions user_query chat_history
message_history conversation_history gen_ai_prompt gen_ai_input_messages gen_ai_system_instructions llm_prompts
llm_input_messages input_value traceloop_entity_input ai_prompt all_messages_events
""")
)
"""Rules whose value is, or is part of, what a model was asked, unless the name says that it is an answer."""

PROMPT_FAMILIES: Final = (
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "llm.input_messages",
    "llm.prompts",
    "input.value",
    "traceloop.entity.input",
    "ai.prompt",
)
"""Beginnings of attributes that hold a prompt, in the order of which is hashed where a call reports several."""

_ANSWERS: Final = ("output", "response", "completion", "reply", "answer", "result")

_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """A secret that names are made with. `key_id`: letters and digits, at most 16."""

    key_id: str
    secret: bytes = field(repr=False)


def is_prompt(name: str, rule: str) -> bool:
    """Whether an attribute denied by this rule holds what a model was asked."""
    lower = name.lower()
    if lower.startswith(PROMPT_FAMILIES):
        return True
    return rule in PROMPT_RULES and not any(word in lower for word in _ANSWERS)


class Pseudonyms:
    """Makes names with the first of the keys."""

    def __init__(self, keys: Sequence[IdentityKey]) -> None:
        if not keys:
            raise ValueError("pseudonyms need a key")
        self._key = keys[0]

    def actor(self, workspace_id: str, identifier: object) -> str | None:
        """The actor_id of a raw identifier (text, number, or an object with an `id`); None where it holds nothing."""
        if isinstance(identifier, dict):
            identifier = identifier.get("id") or identifier.get("user_id")
        if isinstance(identifier, bool) or not isinstance(identifier, str | int):
            return None
        text = str(identifier).strip()
        return self._name("actor", workspace_id, text.encode("utf-8", "surrogatepass")) if text else None

    def prompt(self, workspace_id: str, prompt: object) -> str | None:
        """The prompt_hash of a prompt: text, or whatever JSON value it was sent as; None where it holds nothing."""
        if prompt is None or prompt == "" or isinstance(prompt, bool | int | float | msgspec.Raw):
            return None
        text = prompt.encode("utf-8", "surrogatepass") if isinstance(prompt, str) else None
        try:
            text = text if text is not None else msgspec.json.encode(prompt, order="deterministic")
        except (msgspec.MsgspecError, OverflowError, ValueError, RecursionError):
            return None
        return self._name("prompt", workspace_id, text)

    def _name(self, purpose: str, workspace_id: str, value: bytes) -> str:
        message = b"\x00".join((purpose.encode(), workspace_id.encode(), value))
        return f"{self._key.key_id}:{hmac.digest(self._key.secret, message, hashlib.sha256).hex()[:_DIGITS]}"
