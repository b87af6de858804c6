"""What agents are made of: model families with prices, their spellings in the wild, tools, archetypes, company
names.

Prices are list prices in USD a million tokens, close to the real ones and good enough to be argued with: the price of
record is the warehouse's catalogue. Two families change their price on a date inside the window. Latencies are
medians.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One model, whatever it is called. Prices in USD a million tokens; latency in ms and µs a token."""

    name: str
    price_input: float
    price_cached: float
    price_cache_write: float
    price_output: float
    ttft_ms: int
    us_per_token: int
    does_reason: bool = False
    price_change: float = 1.0
    """Factor on every price from the date of change on."""
    error_per_mille: int = 8


FAMILIES = (
    Family("gpt-4o", 2.50, 1.25, 0.0, 10.00, 480, 11_000),
    Family("gpt-4o-mini", 0.15, 0.075, 0.0, 0.60, 380, 8_000, error_per_mille=5),
    Family("gpt-4.1", 2.00, 0.50, 0.0, 8.00, 520, 10_500),
    Family("gpt-5", 1.25, 0.125, 0.0, 10.00, 1_900, 9_500, does_reason=True, price_change=0.8),
    Family("o4-mini", 1.10, 0.275, 0.0, 4.40, 2_600, 7_500, does_reason=True, error_per_mille=10),
    Family("claude-sonnet-4-5", 3.00, 0.30, 3.75, 15.00, 1_050, 14_000, price_change=0.9),
    Family("claude-opus-4-1", 15.00, 1.50, 18.75, 75.00, 1_600, 21_000, error_per_mille=12),
    Family("claude-haiku-4-5", 1.00, 0.10, 1.25, 5.00, 520, 6_500),
    Family("claude-3-5-sonnet", 3.00, 0.30, 3.75, 15.00, 980, 15_000, error_per_mille=14),
    Family("gemini-2.5-pro", 1.25, 0.31, 0.0, 10.00, 2_100, 8_500, does_reason=True),
    Family("gemini-2.5-flash", 0.30, 0.075, 0.0, 2.50, 430, 4_800, does_reason=True, error_per_mille=6),
    Family("mistral-large", 2.00, 0.0, 0.0, 6.00, 600, 16_000),
    Family("llama-3.3-70b", 0.59, 0.0, 0.0, 0.79, 210, 3_600, error_per_mille=20),
    Family("deepseek-chat", 0.27, 0.07, 0.0, 1.10, 1_300, 24_000, error_per_mille=16),
    Family("house-router", 0.0, 0.0, 0.0, 0.0, 90, 5_000),
)

SPELLINGS = (
    # provider, model as the producer writes it, family; the order is that of model numbers in the events
    ("openai", "gpt-4o", "gpt-4o"),
    ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini"),
    ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
    ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
    ("openai", "gpt-5", "gpt-5"),
    ("openai", "gpt-5-2025-08-07", "gpt-5"),
    ("openai", "o4-mini", "o4-mini"),
    ("azure", "gpt-4o-2024-11-20", "gpt-4o"),
    ("azure", "azure/gpt-4o-mini", "gpt-4o-mini"),
    ("azure.ai.openai", "gpt-4.1", "gpt-4.1"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"),
    ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-1-20250805", "claude-opus-4-1"),
    ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
    ("anthropic", "claude-haiku-4-5", "claude-haiku-4-5"),
    ("aws.bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro", "gemini-2.5-pro"),
    ("gcp.vertex_ai", "google/gemini-2.5-flash", "gemini-2.5-flash"),
    ("google", "models/gemini-2.5-flash", "gemini-2.5-flash"),
    ("openrouter", "openai/gpt-4o-mini", "gpt-4o-mini"),
    ("openrouter", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
    ("mistral", "mistral-large-latest", "mistral-large"),
    ("groq", "llama-3.3-70b-versatile", "llama-3.3-70b"),
    ("deepseek", "deepseek-chat", "deepseek-chat"),
    ("", "openai/gpt-5", "gpt-5"),
    ("in-house", "house-router-7b", "house-router"),
)


@dataclass(frozen=True)
class Tool:
    """One tool. Latency median in ms, the timeout its callers set in ms, price in USD a call where it reports one."""

    name: str
    latency_ms: int
    sigma: float
    timeout_ms: int
    error_per_mille: int
    price_usd: float = 0.0


TOOLS = (
    Tool("search_docs", 180, 0.7, 10_000, 8),
    Tool("sql_query", 420, 1.1, 30_000, 15),
    Tool("web_search", 900, 0.8, 20_000, 18, 0.005),
    Tool("fetch_url", 650, 1.0, 15_000, 40),
    Tool("crm_lookup", 240, 0.6, 8_000, 6),
    Tool("send_email", 310, 0.5, 10_000, 4),
    Tool("create_ticket", 380, 0.5, 10_000, 5),
    Tool("run_python", 1_400, 1.2, 60_000, 60),
    Tool("code_search", 260, 0.7, 10_000, 7),
    Tool("vector_lookup", 45, 0.6, 5_000, 3),
    Tool("payment_status", 520, 0.6, 12_000, 10),
    Tool("ocr_document", 2_300, 0.9, 60_000, 25, 0.0015),
)


@dataclass(frozen=True)
class Archetype:
    """A kind of agent: service, routes, spellings with weights, tools, median steps a run and median first prompt."""

    name: str
    service: str
    routes: tuple[str, ...]
    models: tuple[tuple[str, int], ...]
    tools: tuple[str, ...]
    steps: float
    prompt_tokens: int
    output_tokens: int
    business: tuple[str, ...]


ARCHETYPES = (
    Archetype(
        "support-triage",
        "helpdesk-api",
        ("/v1/tickets/triage", "/v1/tickets/{id}/reply"),
        (("gpt-4o-mini", 6), ("gpt-4o-mini-2024-07-18", 3), ("gpt-4o-2024-08-06", 1)),
        ("search_docs", "crm_lookup", "create_ticket"),
        2.6,
        1_900,
        220,
        ("ticket_resolved", "ticket_escalated"),
    ),
    Archetype(
        "code-reviewer",
        "forge-bot",
        ("/hooks/pull-request", "/v1/review"),
        (("claude-sonnet-4-5", 5), ("claude-sonnet-4-5-20250929", 4), ("claude-opus-4-1-20250805", 1)),
        ("code_search", "run_python", "fetch_url"),
        5.0,
        9_500,
        900,
        ("review_published",),
    ),
    Archetype(
        "sales-research",
        "growth-worker",
        ("/jobs/account-brief",),
        (("gpt-5", 4), ("gpt-5-2025-08-07", 3), ("openai/gpt-5", 1), ("gemini-2.5-pro", 2)),
        ("web_search", "fetch_url", "crm_lookup"),
        4.2,
        3_200,
        1_100,
        ("brief_delivered", "lead_qualified"),
    ),
    Archetype(
        "data-analyst",
        "insight-api",
        ("/v1/ask", "/v1/charts"),
        (("gpt-4.1-2025-04-14", 5), ("gpt-4.1", 3), ("o4-mini", 2)),
        ("sql_query", "run_python", "vector_lookup"),
        4.5,
        4_800,
        520,
        ("report_shared",),
    ),
    Archetype(
        "invoice-clerk",
        "backoffice-worker",
        ("/jobs/invoices", "/jobs/reminders"),
        (("gpt-4o-2024-11-20", 4), ("azure/gpt-4o-mini", 6)),
        ("ocr_document", "sql_query", "send_email", "payment_status"),
        3.0,
        2_600,
        260,
        ("invoice_booked", "reminder_sent"),
    ),
    Archetype(
        "contract-reader",
        "legal-desk",
        ("/v1/contracts/review",),
        (("anthropic.claude-3-5-sonnet-20241022-v2:0", 4), ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 6)),
        ("ocr_document", "vector_lookup"),
        3.4,
        14_000,
        1_300,
        ("clause_flagged",),
    ),
    Archetype(
        "chat-concierge",
        "webchat-gateway",
        ("/v2/chat", "/v2/chat/stream"),
        (("claude-haiku-4-5-20251001", 5), ("claude-haiku-4-5", 3), ("models/gemini-2.5-flash", 2)),
        ("vector_lookup", "payment_status", "crm_lookup"),
        1.8,
        2_300,
        180,
        ("order_placed", "handover_to_human"),
    ),
    Archetype(
        "catalog-writer",
        "shop-pipeline",
        ("/jobs/descriptions",),
        (("google/gemini-2.5-flash", 5), ("mistral-large-latest", 3), ("openai/gpt-4o-mini", 2)),
        ("search_docs", "fetch_url"),
        1.6,
        1_100,
        640,
        ("listing_published",),
    ),
    Archetype(
        "ops-copilot",
        "runbook-agent",
        ("/alerts/webhook", "/v1/diagnose"),
        (("llama-3.3-70b-versatile", 4), ("anthropic/claude-sonnet-4.5", 4), ("deepseek-chat", 2)),
        ("sql_query", "run_python", "search_docs", "create_ticket"),
        5.5,
        5_500,
        420,
        ("incident_closed",),
    ),
    Archetype(
        "intent-router",
        "webchat-gateway",
        ("/v2/route",),
        (("house-router-7b", 8), ("gpt-4o", 2)),
        ("vector_lookup",),
        1.1,
        600,
        24,
        ("intent_routed",),
    ),
)

WORKSPACES = (
    # In an order that spreads the first eight over three partitions under librdkafka's default partitioner.
    "harbor-logistics", "lumen-retail", "kestrel-games", "mosaic-energy", "juniper-press", "saffron-school",
    "fennel-foods", "quarry-bank", "orbit-travel", "pebble-labs", "tansy-health", "birch-legal",
)  # fmt: skip
UTC_OFFSETS_MINUTES = (-300, 60, 0, 330, -480, 540, 120, -180, 600, 480, -420, 765)
ENVIRONMENTS = (("production", 88), ("staging", 9), ("dev", 3))
REGIONS = ("eu-central-1", "us-east-1", "ap-south-1", "us-west-2")
SOURCES = ("sdk-python", "sdk-typescript", "otel-collector", "gateway")
EVENT_TYPES = (
    "agent_run_started", "agent_run_finished", "agent_step", "llm_call", "tool_call", "error", "business_event",
)  # fmt: skip
STATUSES = ("", "ok", "error", "timeout", "cancelled")
LLM_ERRORS = (
    ("rate_limit_error", 45), ("api_connection_error", 18), ("context_length_exceeded", 10), ("overloaded_error", 15),
    ("invalid_request_error", 7), ("content_filter", 5),
)  # fmt: skip
FINAL_ERRORS = ("context_length_exceeded", "invalid_request_error", "content_filter")
"""Errors that no retry cures."""
OUTAGE_ERRORS = (("api_error_503", 55), ("service_unavailable", 25), ("internal_server_error", 20))
TOOL_ERRORS = (
    ("http_502", 30), ("http_404", 20), ("invalid_arguments", 25), ("permission_denied", 10),
    ("ToolExecutionError", 15),
)  # fmt: skip
TIMEOUT_ERROR = "timeout"
RUN_ERRORS = ("llm_unavailable", "tool_failed")
ERROR_TYPES = (
    "", TIMEOUT_ERROR, *(name for name, _ in LLM_ERRORS), *(name for name, _ in OUTAGE_ERRORS),
    *(name for name, _ in TOOL_ERRORS),
    *RUN_ERRORS,
)  # fmt: skip
BUSINESS_EVENTS = tuple(sorted({name for archetype in ARCHETYPES for name in archetype.business}))
