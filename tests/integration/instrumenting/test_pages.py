"""Every snippet of docs/instrumenting runs as it stands on its page, and what it sends is in Kafka in its workspace."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.api.own_tokens import mint_token
from tests.conftest import Broker
from tests.real import standin
from tests.support.door import RunningDoor, start_door

PAGES = Path(__file__).parents[3] / "docs" / "instrumenting"
SNIPPET = re.compile(r"^```(python|bash|javascript)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A page of which each snippet goes on from the first.
GO_ON = {"libraries.md"}
# What a reader has: a program around the snippet.
AROUND = {
    "FastAPI(": (
        "from fastapi.testclient import TestClient\n"
        "with TestClient(app) as visitor:\n    assert visitor.post('/search?query=abc').json() == {'hits': 3}\n"
    )
}


@dataclass(frozen=True)
class Snippet:
    page: str
    number: int
    language: str
    text: str

    @property
    def topic(self) -> str:
        if "provider.shutdown()" not in self.text:
            return "agent_events"
        return "otlp_logs" if "LoggerProvider" in self.text else "otlp_traces"


def snippets() -> list[Snippet]:
    found = []
    for page in sorted(PAGES.glob("*.md")):
        blocks = SNIPPET.findall(page.read_text(encoding="utf-8"))
        first = blocks[0][1] if page.name in GO_ON else ""
        for number, (language, text) in enumerate(blocks[1:] if first else blocks, 1):
            after = "".join(more for sign, more in AROUND.items() if sign in text)
            found.append(Snippet(page.name, number, language, f"{first}{text}{after}"))
    return found


@pytest.fixture(scope="module")
def door(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    folder = tmp_path_factory.mktemp("pages")
    running = start_door(folder, broker.bootstrap, prefix=f"{folder.name}_")
    yield running
    running.server.stop()


@pytest.fixture(scope="module")
def environment(door: RunningDoor) -> Iterator[dict[str, str]]:
    """What the overview has a reader set."""
    token = mint_token(door.folder / "keys.json", "acme", 1)
    with standin.running() as provider:
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith(("METERHOUSE_", "OTEL_"))},
            "METERHOUSE_URL": f"http://127.0.0.1:{door.port}",
            "METERHOUSE_KEY": "acme",
            "METERHOUSE_SECRET": door.secrets["acme"],
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{door.port}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
            "OPENAI_BASE_URL": f"{provider.url}/v1",
            "OPENAI_API_KEY": "none",
            "PYTHONPATH": str(PAGES.parents[1]),
        }


def test_there_are_snippets_in_each_language() -> None:
    assert {one.language for one in snippets()} == {"python", "bash", "javascript"}
    assert len(snippets()) >= 10


@pytest.mark.parametrize("snippet", snippets(), ids=lambda one: f"{one.page}-{one.number}")
def test_a_snippet_runs_and_what_it_sends_is_in_kafka(
    snippet: Snippet, door: RunningDoor, environment: dict[str, str], tmp_path: Path
) -> None:
    runs = {"python": [sys.executable], "bash": ["bash", "-eu"], "javascript": ["node"]}[snippet.language]
    needs = {"bash": "openssl", "javascript": "node"}.get(snippet.language)
    if needs and shutil.which(needs) is None:
        pytest.skip(f"{needs} is not installed")
    file = tmp_path / f"snippet.{ {'python': 'py', 'bash': 'sh', 'javascript': 'mjs'}[snippet.language] }"
    file.write_text(snippet.text, encoding="utf-8")
    before = len(door.messages(snippet.topic))
    ran = subprocess.run([*runs, str(file)], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    sent = door.messages(snippet.topic)[before:]
    assert sent, ran.stdout + ran.stderr
    for message in sent:
        assert message.key() == b"acme"
        value = message.value() or b""
        if snippet.topic == "otlp_traces":
            request = ExportTraceServiceRequest.FromString(value)
            assert any(scope.spans for spans in request.resource_spans for scope in spans.scope_spans)
        elif snippet.topic == "otlp_logs":
            logs = ExportLogsServiceRequest.FromString(value)
            records = [
                one for resource in logs.resource_logs for scope in resource.scope_logs for one in scope.log_records
            ]
            assert all("type" in json.loads(one.body.string_value) for one in records)
        else:
            assert json.loads(value)["workspace_id"] == "acme"
