"""A model provider on loopback: answers as OpenAI and Anthropic do, streams included, and counts what it served.

`Provider.calls` is the truth that priced sums are compared with: one Served a request, in order. Each has other token
counts, so a call that is counted twice or not at all shows in the sums. A model named "fail" is refused with 429.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

CACHED: Final = 64
REASONING: Final = 16
WRITTEN: Final = 100


@dataclass(frozen=True)
class Served:
    """One request as the provider bills it; input has the cached tokens in it. No tokens: refused."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int


@dataclass
class Provider:
    """The running server's address and what it served."""

    url: str = ""
    calls: list[Served] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, provider: str, model: str) -> tuple[int, Served]:
        """Books one request; its number makes its counts."""
        with self.lock:
            number = len(self.calls) + 1
            tokens = (0, 0) if model == "fail" else (700 + 3 * number, 40 + 5 * number)
            self.calls.append(Served(provider, model, *tokens))
            return number, self.calls[-1]


@contextmanager
def running() -> Iterator[Provider]:
    """A provider on a free port until the end of the block."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
            """Silent."""

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            is_anthropic = self.path.endswith("/messages")
            number, served = provider.serve("anthropic" if is_anthropic else "openai", request["model"])
            if served.input_tokens == 0:
                self._answer(429, {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit"}})
            elif self.path.endswith("/responses"):
                whole = _response(number, served)
                if request.get("stream"):
                    self._stream(_response_events(whole))
                else:
                    self._answer(200, whole)
            elif request.get("stream"):
                chunks = _message_events(number, served) if is_anthropic else _chunks(number, served, request)
                self._stream(chunks)
            else:
                self._answer(200, _message(number, served) if is_anthropic else _completion(number, served, request))

        def _answer(self, code: int, body: dict[str, Any]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def _stream(self, chunks: Sequence[str]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(chunk.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def _usage(served: Served) -> dict[str, Any]:
    return {
        "prompt_tokens": served.input_tokens,
        "completion_tokens": served.output_tokens,
        "total_tokens": served.input_tokens + served.output_tokens,
        "prompt_tokens_details": {"cached_tokens": CACHED},
        "completion_tokens_details": {"reasoning_tokens": REASONING},
    }


def _completion(number: int, served: Served, request: dict[str, Any]) -> dict[str, Any]:
    """The first answer to a request with tools calls the first of them."""
    message: dict[str, Any] = {"role": "assistant", "content": "done"}
    has_result = any(one["role"] == "tool" for one in request["messages"])
    if request.get("tools") and not has_result:
        function = {"name": request["tools"][0]["function"]["name"], "arguments": "{}"}
        message = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    reason = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": f"chatcmpl-{number:025d}",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": _usage(served),
    }


def _chunks(number: int, served: Served, request: dict[str, Any]) -> list[str]:
    head = {
        "id": f"chatcmpl-{number:025d}", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-2024-08-06"
    }  # fmt: skip
    delta = {"index": 0, "delta": {"role": "assistant", "content": "done"}, "finish_reason": None}
    chunks: list[dict[str, Any]] = [
        {**head, "choices": [delta]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": _usage(served)})
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]


def _response(number: int, served: Served) -> dict[str, Any]:
    """Of OpenAI's Responses API."""
    text = {"type": "output_text", "text": "done", "annotations": []}
    message = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": [text]}
    return {
        "id": f"resp_{number:040d}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-4o-2024-08-06",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": served.input_tokens,
            "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": served.output_tokens,
            "output_tokens_details": {"reasoning_tokens": REASONING},
            "total_tokens": served.input_tokens + served.output_tokens,
        },
    }


def _response_events(whole: dict[str, Any]) -> list[str]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events = [{"type": "response.created", "response": begun}, {"type": "response.completed", "response": whole}]
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]


def _message(number: int, served: Served) -> dict[str, Any]:
    """Anthropic's input_tokens leave the cache out."""
    return {
        "id": f"msg_01{number:022d}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "done"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": served.input_tokens - CACHED - WRITTEN,
            "cache_read_input_tokens": CACHED,
            "cache_creation_input_tokens": WRITTEN,
            "output_tokens": served.output_tokens,
        },
    }


def _message_events(number: int, served: Served) -> list[str]:
    whole = _message(number, served)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "done"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": served.output_tokens}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
