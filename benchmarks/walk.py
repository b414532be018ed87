"""CPU, rate and latency of the whole walk in one process: `./dev bench walk [--json]`.

One action: the proved message is parsed strictly and its proof checked, the action is frozen, its arguments are checked
against the tool's schema, Cedar decides with 50 policies, the intent is durable, a no-op upstream acts, the outcome is
durable. Messages are signed before the clock starts: signing is the client's work.

CPU is the process clock (all threads), which holds on a noisy machine; rates and latencies stand beside the limit that
the same disk and loop gave in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import policy
import raw_log
import uvloop

from answerable.adapters.cedar import compiled
from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.mcp_upstream.closed_schema import compile_closed
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.memory.registers import (
    MemoryApprovalRegister,
    MemoryMandateRegister,
    MemoryRegistryStore,
)
from answerable.adapters.memory.upstream import MemoryUpstream
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.action.request import action_request
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.identity.http_signature import SignedRequest, sign_request
from answerable.core.identity.keys import SigningKey, from_base64url_32
from answerable.core.identity.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.session import (
    EPHEMERAL_BYTES,
    SESSION_TARGET,
    SessionKey,
    derive_key,
    encode_offer,
    ephemeral_public,
    parse_answer,
)
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.mandate import Grant, Mandate, MandateId
from answerable.core.tlog.note import VerifierKey
from answerable.flows.govern_action import govern_action
from answerable.flows.verify_caller import CallerVerifier, ProofLimits
from answerable.flows.walk import Walk

CALLERS = (1, 16, 64, 256)
POLICIES = 50
SECONDS = 1.0
AUTHORITY = b"127.0.0.1:8765"
TARGET = b"/mcp/crm"
MANDATE = MandateId("0" * 26)
SCHEMA: dict[str, JSONValue] = {
    "type": "object",
    "properties": {
        "case_id": {"type": "string", "minLength": 1, "maxLength": 32},
        "fields": {"type": "array", "items": {"type": "string"}},
        "limit": {"type": "integer", "minimum": 1},
    },
    "required": ["case_id"],
}
OWNERSHIP: dict[str, JSONValue] = {
    "owner": "ada",
    "backupOwner": "bela",
    "approverGroup": "leads",
    "auditLevel": "standard",
    "reviewDate": "2030-01-01",
}


def documents(key: SigningKey) -> list[JSONValue]:
    """The registry of the benchmark: two people, one agent, one capability, `POLICIES` policies."""

    def document(kind: str, name: str, spec: dict[str, JSONValue]) -> dict[str, JSONValue]:
        return {"apiVersion": "answerable/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    capability: dict[str, JSONValue] = {
        "server": "crm",
        "target": "customer_read",
        "kind": "read",
        "environment": "production",
        "tier": 1,
        "sensitivity": "confidential",
        "resource": {"type": "Case", "argument": "case_id"},
        "arguments": [{"name": "case_id", "type": "string", "required": True}],
        "ownership": OWNERSHIP,
    }
    policies = policy.policy_text(
        POLICIES, capability="crm.customer-read", resource_type="Case", use_case="support"
    )
    agent: dict[str, JSONValue] = {
        "useCase": "support",
        "environment": "production",
        "keys": [json.loads(key.public.jwk)],
        "ownership": OWNERSHIP,
    }
    return [
        document("Principal", "ada", {"groups": ["leads"]}),
        document("Principal", "bela", {"groups": ["leads"]}),
        document("UseCase", "support", {"purpose": "support", "ownership": OWNERSHIP}),
        document("Server", "crm", {"command": "true"}),
        document("Agent", "support-agent", agent),
        document("Capability", "crm.customer-read", capability),
        document("PolicySet", "bench", {"policies": policies}),
    ]


@dataclass(slots=True)
class Course:
    """One walk on one log, ready to run. decided_at: when the intent was durable, noted by the no-op upstream."""

    walk: Walk
    verifier: CallerVerifier
    key: SigningKey
    ledger: TlogFilesLedger
    decided: list[float] = field(default_factory=list)


def course(directory: Path) -> Course:
    """Real ledger, real Cedar, real proofs; registers in memory and a no-op upstream."""
    clock, entropy = SystemClock(), SystemEntropy()
    key = open_or_create_key(directory / "agent.jwk", entropy=entropy)
    log_key = open_or_create_key(directory / "log.jwk", entropy=entropy)
    registry = MemoryRegistryStore()
    stored = {f"{d['kind']}/{d['metadata']['name']}": encode(d) for d in documents(key)}  # type: ignore[index,call-overload]
    registry.put(stored)
    ledger = TlogFilesLedger.open(
        directory / "ledger",
        key=VerifierKey.ed25519("bench.example/walk", ed25519_public(log_key)),
        sign=log_key.sign,
        clock=clock,
    )
    decided: list[float] = []
    answer: dict[str, JSONValue] = {"content": [{"type": "text", "text": "ok"}], "isError": False}

    async def no_op(_: dict[str, JSONValue]) -> dict[str, JSONValue]:
        decided.append(time.perf_counter())
        return answer

    upstream = MemoryUpstream(
        clock=clock, tools={"customer_read": no_op}, violations={"customer_read": compile_closed(SCHEMA)}
    )
    mandates = MemoryMandateRegister()
    now = clock.now()
    mandates.add(
        Mandate(
            id=MANDATE,
            principal=PrincipalId("ada"),
            agent=AgentId("support-agent"),
            use_case="support",
            purpose="Answer the customer's question in case 4711",
            grants=(Grant(capability="crm.customer-read", caveats=(ResourceIn(ids=("4711",)),)),),
            caveats=(),
            calls_max=10**9,
            not_before=UnixMillis(now - 1000),
            expires_at=UnixMillis(now + 3_600_000),
            token="",
        )
    )
    walk = Walk(
        clock=clock,
        entropy=entropy,
        ledger=ledger,
        registry=registry,
        mandates=mandates,
        approvals=MemoryApprovalRegister(),
        channel=MemoryApprovalChannel(),
        upstream=upstream,
        decision_point=compiled(registry.current.policy_sets["bench"].policies, registry.current),
        compile_policies=compiled,
    )
    limits = ProofLimits(authorities=frozenset((AUTHORITY.decode(),)), nonces_per_agent_max=1_000_000)
    verifier = CallerVerifier(registry=registry, clock=clock, entropy=entropy, limits=limits)
    return Course(walk=walk, verifier=verifier, key=key, ledger=ledger, decided=decided)


def ed25519_public(key: SigningKey) -> bytes:
    """The 32 bytes behind an Ed25519 key."""
    public = from_base64url_32(json.loads(key.public.jwk)["x"])
    assert public is not None
    return public


def body(number: int) -> bytes:
    """A `tools/call` of about 0.8 KiB, as clients send it."""
    return encode(
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "tools/call",
            "params": {
                "name": "customer_read",
                "arguments": {"case_id": "4711", "fields": ["name", "email", "plan", "notes"], "limit": 20},
                "_meta": {
                    "answerable/reason": "the customer asks why the last invoice is higher; I look at plan and notes",
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                },
            },
        }
    )


def unsigned(text: bytes) -> SignedRequest:
    """A message without its proof."""
    return SignedRequest(method=b"POST", authority=AUTHORITY, target=TARGET, body=text, mandate=MANDATE.encode())


def session_messages(course: Course) -> Iterator[SignedRequest]:
    """Messages with a MAC under a session that one signed handshake opened."""
    private = os.urandom(EPHEMERAL_BYTES)
    offer = SignedRequest(
        method=b"POST", authority=AUTHORITY, target=SESSION_TARGET, body=encode_offer(ephemeral_public(private))
    )
    signed = signed_message(course, offer)
    opened = course.verifier.open_session(signed)
    answer = parse_answer(opened.answer)
    base = _base_of(signed)
    key = SessionKey(
        derive_key(private=private, public=answer.x25519, signature_base=base, answer=opened.answer)
    )
    number = 0
    while True:
        number += 1
        yield sign_request(
            unsigned(body(number)),
            algorithm="hmac-sha256",
            keyid=answer.session,
            created=int(time.time()),
            nonce=str(number),
            sign=key.mac,
        )


def _base_of(signed: SignedRequest) -> bytes:
    from answerable.core.identity.http_signature import parse_signature, signature_base

    return signature_base(signed, parse_signature(signed).parameters)


def signed_message(course: Course, message: SignedRequest) -> SignedRequest:
    """The message with a signature of its own."""
    from base64 import urlsafe_b64encode

    nonce = urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
    return sign_request(
        message,
        algorithm=course.key.algorithm,
        keyid=course.key.public.thumbprint,
        created=int(time.time()),
        nonce=f"{course.verifier.epoch}.{nonce}",
        sign=course.key.sign,
    )


def signed_messages(course: Course) -> Iterator[SignedRequest]:
    """Messages with a signature each."""
    number = 0
    while True:
        number += 1
        yield signed_message(course, unsigned(body(number)))


async def one_action(course: Course, message: SignedRequest) -> None:
    """What the gateway does for one message, without HTTP."""
    caller = course.verifier.verify(message)
    value = parse(message.body)
    params = value["params"]  # type: ignore[index,call-overload]
    meta = params["_meta"]  # type: ignore[index,call-overload]
    request = action_request(
        server="crm",
        method="tools/call",
        target=params["name"],  # type: ignore[index,call-overload,arg-type]
        arguments=params["arguments"],  # type: ignore[index,call-overload]
        mandate_id=message.mandate_id,
        reason=meta["answerable/reason"],  # type: ignore[index,call-overload,arg-type]
        message_digest=caller.message_digest,
    )
    await govern_action(course.walk, request, caller)


@dataclass(frozen=True, slots=True)
class Measured:
    """cpu_us: process CPU per action. Latencies in milliseconds."""

    callers: int
    actions: int
    rate: float
    cpu_us: float
    p50: float
    p99: float
    decision_p50: float


async def run(course: Course, messages: list[SignedRequest], callers: int, seconds: float) -> Measured:
    """`callers` closed loops over prepared messages until the time or the messages are over."""
    pending = iter(messages)
    took: list[float] = []
    decisions: list[float] = []
    single = callers == 1
    gc.collect()
    gc.freeze()
    cpu, begun = time.process_time(), time.perf_counter()
    end = begun + seconds

    async def caller() -> None:
        for message in pending:
            start = time.perf_counter()
            if start >= end:
                return
            await one_action(course, message)
            took.append(time.perf_counter() - start)
            if single:
                decisions.append(course.decided[-1] - start)

    await asyncio.gather(*(caller() for _ in range(callers)))
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    course.decided.clear()
    gc.unfreeze()
    took.sort()
    return Measured(
        callers=callers,
        actions=len(took),
        rate=len(took) / wall,
        cpu_us=cpu / len(took) * 1e6,
        p50=took[len(took) // 2] * 1000,
        p99=took[len(took) * 99 // 100] * 1000,
        decision_p50=statistics.median(decisions) * 1000 if decisions else 0.0,
    )


def measured(source: Callable[[Course], Iterator[SignedRequest]], callers: int, seconds: float, count: int) -> Measured:
    """One run on a fresh log; the best of three by CPU, since a neighbour only ever adds."""
    results = []
    for _ in range(3):
        with scratch() as directory:
            made = course(directory)
            stream = source(made)
            messages = [next(stream) for _ in range(count)]

            async def main(made: Course = made, messages: list[SignedRequest] = messages) -> Measured:
                await run(made, messages[:200], callers=min(callers, 64), seconds=seconds)
                result = await run(made, messages[200:], callers=callers, seconds=seconds)
                await made.ledger.close()
                return result

            results.append(uvloop.run(main()))
    return min(results, key=lambda r: r.cpu_us)


class scratch:  # noqa: N801 - reads as a verb at its uses
    """A directory on the disk that the product would use, gone afterwards."""

    def __enter__(self) -> Path:
        base = Path(".dev/bench")
        base.mkdir(parents=True, exist_ok=True)
        self._path = Path(tempfile.mkdtemp(dir=base))
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _process_rate(ready: object, go: object, results: object, seconds: float) -> None:
    with scratch() as directory:
        made = course(directory)
        stream = session_messages(made)
        messages = [next(stream) for _ in range(int(30_000 * seconds))]

        async def main() -> float:
            await run(made, messages[:500], callers=64, seconds=seconds)
            ready.release()  # type: ignore[attr-defined]
            await asyncio.to_thread(go.wait)  # type: ignore[attr-defined]
            result = await run(made, messages[500:], callers=64, seconds=seconds)
            await made.ledger.close()
            return result.rate

        results.put(uvloop.run(main()))  # type: ignore[attr-defined]


def process_rate(processes: int, seconds: float) -> float:
    """Actions per second of so many processes at once, a log shard each."""
    context = multiprocessing.get_context("spawn")
    ready, go, results = context.Semaphore(0), context.Event(), context.Queue()
    started = [
        context.Process(target=_process_rate, args=(ready, go, results, seconds)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    for _ in started:
        ready.acquire()
    go.set()
    total = sum(results.get() for _ in started)
    for process in started:
        process.join()
    return total


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--quick", action="store_true", help="one caller count, no second process")
    options = arguments.parse_args()
    seconds = options.seconds
    with scratch() as directory:
        sync_ms = raw_log.single_fdatasync(directory, 300).p50_ms
    rows: list[dict[str, object]] = []
    by_callers: dict[int, Measured] = {}
    for callers in (64,) if options.quick else CALLERS:
        count = 200 + int(seconds * (6_000 if callers == 1 else 30_000))
        by_callers[callers] = result = measured(session_messages, callers, seconds, count)
        with scratch() as directory:
            floor = raw_log.raw_group_commit(directory, callers=callers, seconds=seconds, record_bytes=1024)
        rows.append(_row("session MAC", result, floor / 2))
        _say(options.json, rows[-1])
    signed = measured(signed_messages, 64, seconds, 200 + int(12_000 * seconds))
    rows.append(_row("signature per call", signed, 0.0))
    _say(options.json, rows[-1])
    cpu = by_callers[64].cpu_us
    figures: dict[str, float] = {
        "cpu_us_per_action": cpu,
        "cpu_us_per_action_proof_per_call": signed.cpu_us,
        "actions_per_s_c64": by_callers[64].rate,
    }
    if not options.quick:
        one, two = process_rate(1, 2 * seconds), process_rate(2, 2 * seconds)
        costs = policy.decision_costs()
        figures |= {
            "rate_c256_over_cpu_limit": by_callers[256].rate / (1e6 / by_callers[256].cpu_us),
            "decision_p50_over_fdatasync_c1": by_callers[1].decision_p50 / sync_ms,
            "fdatasync_p50_ms": sync_ms,
            "policies_10000_over_50": costs[10_000] / costs[50],
            "two_process_scaling": two / one,
        }
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    if options.json:
        print(json.dumps({"bench": "walk", "machine": machine, "rows": rows, "figures": figures}))
        return
    print(f"\n{machine}")
    for name, value in figures.items():
        print(f"  {name:36} {value:10.3f}")


def _row(proof: str, result: Measured, floor: float) -> dict[str, object]:
    return {
        "proof": proof,
        "callers": result.callers,
        "cpu_us": round(result.cpu_us, 1),
        "actions_per_s": round(result.rate),
        "p50_ms": round(result.p50, 3),
        "p99_ms": round(result.p99, 3),
        "raw_log_limit_actions_per_s": round(floor),
    }


def _say(as_json: bool, row: dict[str, object]) -> None:
    if not as_json:
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
