"""The page's lines for Node, with the very packages it names: a model call of an agent in Node is in Kafka."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.api.own_tokens import mint_token
from tests.conftest import Broker
from tests.support.door import start_door

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "instrumenting" / "opentelemetry.md"
PACKAGES = ROOT / "tests" / "support" / "node"
AGENT = """
import { trace } from "@opentelemetry/api";
const attributes = {
  "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5-mini",
  "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 40,
};
trace.getTracer("support-bot").startActiveSpan("chat gpt-5-mini", { attributes }, (span) => span.end());
"""


def _install() -> None:
    """Once for the lock as it is: npm leaves its own copy of it among the packages."""
    installed, lock = PACKAGES / "node_modules" / ".package-lock.json", PACKAGES / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(words, cwd=PACKAGES, check=True, timeout=300)


def test_the_page_s_lines_for_node_bring_a_model_call_to_kafka(broker: Broker, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        (pytest.fail if os.environ.get("METERHOUSE_REQUIRE_NODE") == "1" else pytest.skip)("npm is not installed")
    text = PAGE.read_text(encoding="utf-8")
    (tracing,) = re.findall(r"^```js\n// tracing\.mjs\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (named,) = re.findall(r"`npm install ([^`]+)`", text)
    assert set(named.split()) == set(json.loads((PACKAGES / "package.json").read_bytes())["dependencies"])
    _install()
    (tmp_path / "tracing.mjs").write_text(tracing, encoding="utf-8")
    (tmp_path / "your-agent.mjs").write_text(AGENT, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(PACKAGES / "node_modules")
    door = start_door(tmp_path / "door", broker.bootstrap, prefix=f"{tmp_path.name}_")
    try:
        token = mint_token(door.folder / "keys.json", "acme", 1)
        ran = subprocess.run(
            ["node", "--import", "./tracing.mjs", "your-agent.mjs"],
            cwd=tmp_path,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{door.port}",
                "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        (message,) = door.messages("otlp_traces")
        assert message.key() == b"acme"
        request = ExportTraceServiceRequest.FromString(message.value() or b"")
        (span,) = [one for told in request.resource_spans for scope in told.scope_spans for one in scope.spans]
        numbers = {one.key: one.value.int_value for one in span.attributes if one.value.HasField("int_value")}
        assert numbers == {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 40}
    finally:
        door.server.stop()
