"""Whatever bytes a proved caller sends, the gateway answers with one JSON-RPC message or none, and goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.adapters.sqlite import SqliteRegistryStore
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.apps.mcp_gateway.gateway import Gateway
from answerable.apps.mcp_gateway.services import GatewayServices
from answerable.core.action.outcome import Outcome
from answerable.core.action.quota import RefusalQuota
from answerable.core.canonical import encode
from answerable.core.identity.proof.channel import EXCHANGE_EXTENSION
from answerable.core.identity.proof.http_signature import SignedRequest, sign_request
from answerable.core.ledger.answer import Answer
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.testing.registers import fresh
from answerable.testing.samples import registry_documents, signing_key
from tests.probes.example_counts import examples
from tests.worlds.gateway import modern

METHODS = [
    "tools/call",
    "tools/list",
    "resources/read",
    "completion/complete",
    "subscriptions/listen",
    "made/up",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ["name", "arguments", "uri", "ref", "notifications", "cursor"]
PARAMS = st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, JSON))
MESSAGES = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from(METHODS), PARAMS, st.integers(0, 9) | st.text(max_size=3)).map(
        lambda drawn: modern(*drawn)
    ),
    st.tuples(st.sampled_from(METHODS), JSON, JSON).map(
        lambda drawn: json.dumps(
            {"jsonrpc": "2.0", "method": drawn[0], "params": drawn[1], "id": drawn[2]}
        ).encode()
    ),
    st.tuples(st.integers(0, 300), st.binary(max_size=3)).map(
        lambda drawn: (
            (m := modern("tools/call", {"name": "x", "arguments": {"a": 1}}))[: drawn[0]]
            + drawn[1]
            + m[drawn[0] :]
        )
    ),
)


class Nothing:
    """Offers one server that has nothing."""

    def serves(self, server):
        return True

    def capabilities(self, server):
        return {}

    def instructions(self, server):
        return ""

    async def entries(self, server, method):
        return []

    async def settled(self, server, *, tools):
        return None

    def input_schema(self, server, tool):
        return None

    def watch(self, server, listener):
        return self

    def add(self, uri):
        return True

    def drop(self, uri):
        return

    def close(self):
        return


class AllBySend:
    """A server that offers nothing beside ASGI."""

    def arrived(self):
        return None

    def when_left(self, tell):
        return

    def answer(self, status, fields, body):
        return False


def needs() -> tuple[GatewayServices, CallerVerifier]:
    store = fresh(SqliteRegistryStore)
    store.put({f"{one['kind']}/{one['metadata']['name']}": encode(one) for one in registry_documents()})
    limits = ProofLimits(authorities=frozenset({"localhost"}))
    prover = CallerVerifier(registry=store, clock=SystemClock(), entropy=SystemEntropy(), limits=limits)

    async def govern(request, caller, *, progress=None):
        assert request.message_digest == caller.message_digest
        return Answer(action_id="a", outcome=Outcome(status="failed", detail="nothing here"))

    needs = GatewayServices(
        prover=prover,
        govern=govern,
        visible=lambda *_, delegation="": (),
        offers=Nothing(),
        refuse_held=lambda *_, delegation="": None,
        open_stream=lambda *_, delegation="", cut: lambda: None,
    )
    return needs, prover


async def answer_to(
    gateway: Gateway,
    prover: CallerVerifier,
    body: bytes,
    fields: list[tuple[bytes, bytes]],
    number: int,
    path: str = "/mcp/crm",
):
    key = signing_key("scout")
    signed = sign_request(
        SignedRequest(method=b"POST", authority=b"localhost", target=path.encode(), body=body),
        algorithm=key.algorithm,
        keyid=key.public.thumbprint,
        created=SystemClock().now() // 1000,
        nonce=f"{prover.epoch}.{number:022d}",
        sign=key.sign,
    )
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"content-digest", signed.content_digest),
        (b"signature-input", signed.signature_input),
        (b"signature", signed.signature),
        *fields,
    ]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("localhost", 80), "client": ("c", 1),
        "extensions": {EXCHANGE_EXTENSION: AllBySend()},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    left = anyio.Event()
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    with anyio.move_on_after(2):
        await gateway(scope, receive, send)
    return sent


COUNTER = iter(range(10**9))


@pytest.mark.requirement("GATE-03")
@settings(max_examples=examples(200))
@given(body=MESSAGES, modern_era=st.booleans())
def test_any_bytes_are_answered_and_cost_nothing_else(body, modern_era):
    own, prover = needs()
    name = b""
    try:
        value = json.loads(body)
        name = str(value["method"]).encode() if isinstance(value, dict) else b""
    except (ValueError, KeyError, UnicodeDecodeError):
        pass
    fields = [(b"mcp-protocol-version", b"2026-07-28"), (b"mcp-method", name)] if modern_era else []

    async def both():
        gateway = Gateway(own)
        async with gateway.running():
            sent = await answer_to(gateway, prover, body, fields, next(COUNTER))
            listed = await answer_to(
                gateway,
                prover,
                modern("tools/list"),
                [(b"mcp-protocol-version", b"2026-07-28"), (b"mcp-method", b"tools/list")],
                next(COUNTER),
            )
            return sent, listed

    sent, listed = anyio.run(both)
    assert listed[0]["status"] == 200
    start = sent[0]
    assert start["type"] == "http.response.start"
    assert start["status"] != 500
    text = b"".join(message.get("body", b"") for message in sent[1:])
    if (
        start["status"] != 202
        and text
        and dict(start["headers"])[b"content-type"].startswith(b"application/json")
    ):
        answer = json.loads(text)
        assert answer["jsonrpc"] == "2.0"
        assert "Traceback" not in text.decode()


def call(arguments=None, **more) -> bytes:
    return modern("tools/call", {"name": "x", "arguments": {} if arguments is None else arguments, **more})


@pytest.mark.requirement("WALK-05")
@pytest.mark.parametrize(
    ("body", "path", "method", "named", "code"),
    [
        (modern("made/up"), "/mcp/crm", b"made/up", b"", "rpc.method"),
        (call({"a": {"__entity": 1}}), "/mcp/crm", b"tools/call", b"x", "arguments.reserved_member"),
        (call([]), "/mcp/crm", b"tools/call", b"x", "arguments.not_object"),
        (call(task={}), "/mcp/crm", b"tools/call", b"x", "params.invalid"),
        (modern("tools/list", {"cursor": "c"}), "/mcp/crm", b"tools/list", b"", "params.invalid"),
        (call(), "/mcp/crm", b"tools/call", b"another", "rpc.refused"),
        (call(), "/mcp/gone", b"tools/call", b"x", "http.path"),
        (b"[]", "/mcp/crm", b"tools/call", b"", "rpc.batch"),
        (call({}), "/mcp/crm", b"tools/call", b"x", None),
    ],
)
def test_what_is_refused_of_a_proved_agent_before_there_is_an_action_is_counted_once(
    body, path, method, named, code
):
    own, prover = needs()
    quota = RefusalQuota(recorded_max=1, window_ms=60_000)
    codes: list[str] = []

    def refused(said, _sender, *, agent="", key=""):
        codes.append(said if isinstance(said, str) else said.code)
        quota.note(agent, SystemClock().now())

    class OnlyCrm(Nothing):
        def serves(self, server):
            return server == "crm"

    fields = [(b"mcp-protocol-version", b"2026-07-28"), (b"mcp-method", method)]
    fields += [(b"mcp-name", named)] if named else []

    async def once():
        gateway = Gateway(replace(own, refused=refused, offers=OnlyCrm()))
        async with gateway.running():
            return await answer_to(gateway, prover, body, fields, next(COUNTER), path)

    assert anyio.run(once)
    assert codes == ([] if code is None else [code])
    assert quota.is_held("scout", SystemClock().now()) == (code is not None)
