"""What never lands, for OTLP: content, identifiers and secrets removed from a decoded export request, in place.

In: one of the three Export*ServiceRequest. Out: the same without denied attributes (deny list of denied_names.py), with
e-mail addresses masked in every string, free text of log bodies and of span statuses dropped, fields unknown to OTLP
discarded; how often which rule hit is added to `counts`. With Pseudonyms, an identifier of a user becomes the attribute
`meterhouse.actor_id` and a prompt `meterhouse.prompt_hash`. Idempotent; never raises for any content.
"""

from collections.abc import Callable, Iterator, MutableSequence, Sequence
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.contracts.denial import DROPPED, NAMING_KEYS, Rule, count, denied, mask_emails
from ingest.contracts.fields import EVENT_TYPES
from ingest.contracts.privacy import MAX_SCRUB_DEPTH, scrub_value
from ingest.contracts.pseudonyms import PROMPT_FAMILIES, USER_NAMES, Pseudonyms, is_prompt

ExportRequest = ExportTraceServiceRequest | ExportLogsServiceRequest | ExportMetricsServiceRequest

ACTOR_ATTRIBUTE: Final = "meterhouse.actor_id"
PROMPT_ATTRIBUTE: Final = "meterhouse.prompt_hash"
KEPT_LOG_WORDS: Final = frozenset((*EVENT_TYPES, "run_started", "run_finished", "token_usage", DROPPED))
"""Text bodies that may stay: names of events, no words of people."""

LAYOUTS: Final = {
    ExportTraceServiceRequest: ("resource_spans", "scope_spans", "spans", "span"),
    ExportLogsServiceRequest: ("resource_logs", "scope_logs", "log_records", "record"),
    ExportMetricsServiceRequest: ("resource_metrics", "scope_metrics", "metrics", "metric"),
}
"""How each request nests: resources, scopes, items, and what an item is."""

STATUS_MESSAGE: Final = "status_message"
_MEASURES: Final = ("int_value", "double_value", "bool_value", None)
_LONGEST_HASHED_PROMPTS: Final = 4_096


def scrub(
    request: ExportRequest, counts: dict[str, int], pseudonyms: Pseudonyms | None = None, workspace_id: str = ""
) -> None:
    """See the module."""
    request.DiscardUnknownFields()
    Scrubber(counts, pseudonyms, workspace_id, holds_text=True).request(request)
    mask_strings(request, counts)


def mask_strings(message: Message, counts: dict[str, int]) -> None:
    """E-mail addresses masked in every string of a message and all within, whatever the field."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                mask_strings(inner, counts)
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                value[:] = [mask_emails(text, counts) for text in value]
            elif "@" in value or "%40" in value:
                setattr(message, field.name, mask_emails(value, counts))


class Scrubber:
    """`holds_text`: some string may be JSON, or hold an address."""

    def __init__(
        self, counts: dict[str, int], pseudonyms: Pseudonyms | None, workspace_id: str, *, holds_text: bool
    ) -> None:
        self._counts = counts
        self._pseudonyms = pseudonyms
        self._workspace_id = workspace_id
        self._holds_text = holds_text

    def request(self, request: ExportRequest) -> None:
        """All of it."""
        groups, scopes, items, name = LAYOUTS[type(request)]
        by_name: dict[str, Callable[..., None]] = {"span": self._span, "record": self._record, "metric": self._metric}
        scrub_item = by_name[name]
        for group in getattr(request, groups):
            self.attributes(group.resource.attributes)
            for scope in getattr(group, scopes):
                self.attributes(scope.scope.attributes)
                for item in getattr(scope, items):
                    scrub_item(item)

    def _span(self, span: Span) -> None:
        prompts: list[tuple[str, AnyValue]] = []
        self.attributes(span.attributes, prompts)
        for event in span.events:
            self.attributes(event.attributes, prompts)
        for link in span.links:
            self.attributes(link.attributes, prompts)
        self._add_prompt_hash(span.attributes, prompts)
        if span.HasField("status") and span.status.message:
            # What an SDK writes here is the exception's message: words of a prompt or of a person as often as not.
            span.status.message = ""
            count(self._counts, STATUS_MESSAGE)

    def _record(self, record: LogRecord) -> None:
        prompts: list[tuple[str, AnyValue]] = []
        self.attributes(record.attributes, prompts)
        if record.HasField("body"):
            self.body(record.body, prompts)
        self._add_prompt_hash(record.attributes, prompts)

    def body(self, body: AnyValue, prompts: list[tuple[str, AnyValue]]) -> None:
        kind = body.WhichOneof("value")
        if kind == "kvlist_value":
            self.attributes(body.kvlist_value.values, prompts)
        elif kind == "array_value":
            self._value(body, 0)
        elif kind == "string_value":
            text = body.string_value
            if text.lstrip(" \t\r\n")[:1] in ("{", "["):
                clean = scrub_value(text.strip(), self._counts)
                if clean != text:
                    body.string_value = str(clean)
            elif text and text not in KEPT_LOG_WORDS:
                self._drop(body, "log_body")
        elif kind == "bytes_value":
            self._drop(body, "log_body")

    def _metric(self, metric: Metric) -> None:
        self.attributes(metric.metadata)
        kind = metric.WhichOneof("data")
        if kind is None:
            return
        for point in getattr(metric, kind).data_points:
            self.attributes(point.attributes)
            if kind != "summary":
                for exemplar in point.exemplars:
                    self.attributes(exemplar.filtered_attributes)

    def attributes(
        self,
        attributes: MutableSequence[KeyValue],
        prompts: list[tuple[str, AnyValue]] | None = None,
        depth: int = 0,
    ) -> None:
        """One list of attributes. Prompts that are dropped are added to `prompts`."""
        condemned: list[int] = []
        actor: str | None = None
        has_naming_key = False
        for index, attribute in enumerate(attributes):
            name = attribute.key
            rule = denied(name)
            if rule is None:
                if self._holds_text and mask_emails(name, self._counts) != name:
                    condemned.append(index)
                    continue
                has_naming_key = has_naming_key or name in NAMING_KEYS
                self._value(attribute.value, depth)
            elif not _may_stay(rule[0], attribute.value):
                condemned.append(index)
                count(self._counts, rule[1])
                if rule[1] in USER_NAMES:
                    actor = actor or self._actor(attribute.value)
                elif prompts is not None and is_prompt(name, rule[1]):
                    prompts.append((name, _copy(attribute.value)))
        if has_naming_key:
            condemned += self.named_values(attributes, condemned)
        for index in sorted(condemned, reverse=True):
            del attributes[index]
        if actor is not None:
            _add(attributes, ACTOR_ATTRIBUTE, actor)

    def named_values(self, attributes: Sequence[KeyValue], condemned: Sequence[int]) -> Iterator[int]:
        """Entries `value` beside an entry `key` that holds a denied name."""
        names = [one.value.string_value for one in attributes if one.key in NAMING_KEYS]
        rules = [rule for name in names if (rule := denied(name)) is not None]
        for index, attribute in enumerate(attributes):
            if attribute.key == "value" and index not in condemned:
                hits = [rule for rule in rules if not _may_stay(rule[0], attribute.value)]
                if hits:
                    count(self._counts, hits[0][1])
                    yield index

    def _value(self, value: AnyValue, depth: int) -> None:
        kind = value.WhichOneof("value")
        if depth >= MAX_SCRUB_DEPTH and kind in ("kvlist_value", "array_value"):
            self._drop(value, "too_deep")
        elif kind == "kvlist_value":
            self.attributes(value.kvlist_value.values, None, depth + 1)
        elif kind == "array_value":
            for item in value.array_value.values:
                self._value(item, depth + 1)
        elif kind == "string_value" and self._holds_text:
            text = value.string_value
            if text[:1] in (" ", "{", "[") or "@" in text or "%40" in text:
                clean = scrub_value(text, self._counts)
                if clean != text:
                    value.string_value = str(clean)
        elif kind == "bytes_value" and self._holds_text and b"@" in value.bytes_value:
            self._drop(value, "bytes")

    def _drop(self, value: AnyValue, rule: str) -> None:
        value.string_value = DROPPED
        count(self._counts, rule)

    def _actor(self, value: AnyValue) -> str | None:
        if self._pseudonyms is None:
            return None
        kind = value.WhichOneof("value")
        identifier = getattr(value, kind) if kind in ("string_value", "int_value") else None
        return self._pseudonyms.actor(self._workspace_id, identifier)

    def _add_prompt_hash(self, attributes: MutableSequence[KeyValue], prompts: list[tuple[str, AnyValue]]) -> None:
        made = self.prompt_attribute(prompts)
        if made is not None and not any(attribute.key == PROMPT_ATTRIBUTE for attribute in attributes):
            attributes.append(made)

    def prompt_attribute(self, prompts: list[tuple[str, AnyValue]]) -> KeyValue | None:
        """The attribute that stands for all prompts of one item; None where there are none, or no key to hash with."""
        if not prompts or self._pseudonyms is None:
            return None
        # The first family that is there: the hash must not depend on which instrumentations repeated the prompt.
        chosen = next(
            (found for family in PROMPT_FAMILIES if (found := [one for one in prompts if one[0].startswith(family)])),
            prompts,
        )[:_LONGEST_HASHED_PROMPTS]
        if len(chosen) == 1 and chosen[0][1].WhichOneof("value") == "string_value":
            made = self._pseudonyms.prompt(self._workspace_id, chosen[0][1].string_value)
        else:
            made = self._pseudonyms.prompt(
                self._workspace_id,
                [[name, value.SerializeToString(deterministic=True)] for name, value in sorted(chosen, key=_first)],
            )
        return None if made is None else KeyValue(key=PROMPT_ATTRIBUTE, value=AnyValue(string_value=made))


def _first(pair: tuple[str, AnyValue]) -> str:
    return pair[0]


def _may_stay(rule: Rule, value: AnyValue) -> bool:
    """As privacy.may_stay: a measure under a content name holds no content, nothing holds nothing."""
    kind = value.WhichOneof("value")
    return kind is None or (rule == "content" and kind in _MEASURES)


def _copy(value: AnyValue) -> AnyValue:
    copied = AnyValue()
    copied.CopyFrom(value)
    return copied


def _add(attributes: MutableSequence[KeyValue], name: str, text: str) -> None:
    if not any(attribute.key == name for attribute in attributes):
        attributes.append(KeyValue(key=name, value=AnyValue(string_value=text)))
