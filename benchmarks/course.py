"""One walk on a log of its own, and the proved messages that are sent over it: shared by the benchmarks.

Real ledger on disk, real Cedar with `POLICIES` policies, real proofs; registers in memory and a no-op upstream.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import everything
import policy_rules

from answerable.adapters.cedar import CedarDecisionPoint, compiled, published
from answerable.adapters.cedar.slices import KeptAnswers
from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.mcp_upstream.closed_schema import compile_closed
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.memory.upstream import MemoryUpstream
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteEpochs,
    SqliteHoldRegister,
    SqliteMandateRegister,
    SqliteManifestRegister,
    SqliteOpeningRegister,
    SqliteRegistryStore,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteSubjectKeys,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.core.action.request import action_request
from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.decision.history import History
from answerable.core.identity.keys.keys import SigningKey, ed25519_public
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.identity.proof.http_signature import (
    SignedRequest,
    parse_signature,
    sign_request,
    signature_base,
)
from answerable.core.identity.proof.session import (
    EPHEMERAL_BYTES,
    SESSION_TARGET,
    SessionKey,
    derive_key,
    encode_offer,
    ephemeral_public,
    parse_answer,
)
from answerable.core.mandate.caveat import KindIn
from answerable.core.mandate.mandate import Grant, Mandate, MandateId, MandateTerms
from answerable.core.mandate.token import signed
from answerable.core.registry.parsing.active import stored_form
from answerable.core.tlog.note import VerifierKey
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.state.parts import AskingState, AuthorityRegisters, Recorder
from answerable.flows.state.policy_desk import PolicyState
from answerable.flows.state.worlds import Verification
from answerable.flows.tokens.proof_limits import ProofLimits
from answerable.flows.tokens.verify_caller import CallerVerifier
from answerable.flows.walk.govern_action import govern_action
from answerable.ports.hold_register import HoldRegister
from answerable.sdk.signing import signed_mandate
from answerable.testing.registers import fresh, fresh_ends
from answerable.testing.tool_pins import ApprovedAsSeen
from answerable.wiring.walk import Walk

CAPABILITY = "crm.customer-read"
POLICIES = 50
SHUT = """@id("bench.shut") @reason("this case is shut")
forbid(principal, action == Action::"crm.customer-read", resource is Case)
when { context.arguments.case_id like "0" };
"""
"""The one that looks at an argument, and not only to compare it: an answer is kept for each case."""
CASES, NEW_CASE_EACH = 50, 5  # each fifth action is about a case that nobody asked about
DEFAULTS = TlogFilesSettings()
AUTHORITY = b"127.0.0.1:8765"
TARGET = b"/mcp/crm"
MANDATE = MandateId("0" * 26)
PEER_UID = 4711
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


def documents(
    key: SigningKey, ada: SigningKey | None = None, *, with_everything: bool = False
) -> list[JSONValue]:
    """The registry of the benchmark: two people, one agent, one capability, `POLICIES` policies.

    with_everything: and a set that looks at all that policy can see.
    """

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
    policies = SHUT + policy_rules.policy_text(
        POLICIES - 1, capability=CAPABILITY, resource_type="Case", use_case="support"
    )
    agent: dict[str, JSONValue] = {
        "useCase": "support",
        "environment": "production",
        "unixUids": [PEER_UID],
        "keys": [json.loads(key.public.jwk)],
        "ownership": OWNERSHIP,
    }
    return [
        document("Principal", "ada", {"groups": ["leads"], "keys": [json.loads((ada or key).public.jwk)]}),
        document("Principal", "bela", {"groups": ["leads"]}),
        document("UseCase", "support", {"purpose": "support", "ownership": OWNERSHIP}),
        document("Server", "crm", {"command": "true"}),
        document("Agent", "support-agent", agent),
        document("Capability", CAPABILITY, capability),
        document("PolicySet", "bench", {"policies": policies}),
        *(
            [
                document(
                    "PolicySet",
                    "everything",
                    {**everything.declared(CAPABILITY), "policies": everything.policies(CAPABILITY)},
                )
            ]
            if with_everything
            else []
        ),
    ]


Sent: TypeAlias = tuple[SignedRequest, Channel | None]
"""A message and, when the connection proves who sends it, the connection."""


@dataclass(slots=True)
class Course:
    """One walk on one log, ready to run. decided: when intents were durable, noted by the no-op upstream."""

    walk: Walk
    verifier: CallerVerifier
    key: SigningKey
    ledger: TlogFilesLedger
    answers: KeptAnswers
    person: SigningKey
    decided: list[float] = field(default_factory=list)


def course(
    directory: Path,
    *,
    settings: TlogFilesSettings = DEFAULTS,
    with_everything: bool = False,
    shared: SqliteStore | None = None,
    keeps_answers: bool = True,
) -> Course:
    """Real ledger, Cedar, proofs and registers, and a no-op upstream. with_everything: as in `documents`. shared: where
    what is revoked and held is kept, and seen by every process. keeps_answers: whether what Cedar answered is."""
    clock, entropy, registry = SystemClock(), SystemEntropy(), fresh(SqliteRegistryStore)
    key, log_key, ada = (
        open_or_create_key(directory / f"{name}.jwk", entropy=entropy) for name in ("agent", "log", "ada")
    )
    registry.put(stored_form(documents(key, ada, with_everything=with_everything)))
    ledger = TlogFilesLedger.open(
        directory / "ledger",
        key=VerifierKey.ed25519("bench.example/walk", ed25519_public(log_key.public)),
        sign=log_key.sign,
        clock=clock,
        settings=settings,
    )
    decided: list[float] = []
    answer: dict[str, JSONValue] = {"content": [{"type": "text", "text": "ok"}], "isError": False}

    async def no_op(_: dict[str, JSONValue]) -> dict[str, JSONValue]:
        decided.append(time.perf_counter())
        return answer

    upstream = MemoryUpstream(
        clock=clock,
        tools={"customer_read": no_op},
        violations={"customer_read": compile_closed(SCHEMA)},
        annotations={"customer_read": {"readOnlyHint": True, "openWorldHint": False}},
    )
    mandates = fresh(SqliteMandateRegister)
    mandates.add(mandate_of(ada, clock.now(), MANDATE))
    revocations, holds = _stopped(shared, clock)
    answers = KeptAnswers() if keeps_answers else KeptAnswers(most=0)
    policy_set = published(policy_text(registry.current), registry.current)
    walk = Walk(
        clock=clock, entropy=entropy,
        recorder=Recorder(
            ledger=ledger,
            subject_keys=SqliteSubjectKeys.open(
            directory / "subject-keys.db", root=entropy.bytes(32), entropy=entropy
        ),
        ),
        authority=AuthorityRegisters(
            registry=registry, mandates=mandates, approvals=fresh(SqliteApprovalRegister),
            manifests=fresh(SqliteManifestRegister), revocations=revocations, holds=holds,
        ),
        asking=AskingState(openings=fresh(SqliteOpeningRegister), channel=MemoryApprovalChannel()),
        verification=Verification(
            upstream=upstream, pins=ApprovedAsSeen(registry, upstream), epochs=SqliteEpochs(revocations),
        ),
        policies=PolicyState(
            decision_point=CedarDecisionPoint(policy_set, answers=answers), compile_policies=compiled,
        ),
    )  # fmt: skip
    walk.counters.history = History(registry.current.parts.trackers)
    limits = ProofLimits(authorities=frozenset((AUTHORITY.decode(),)), nonces_per_agent_max=1_000_000)
    verifier = CallerVerifier(registry=registry, clock=clock, entropy=entropy, limits=limits)
    return Course(
        walk=walk, verifier=verifier, key=key, ledger=ledger, answers=answers, person=ada, decided=decided
    )


def _stopped(shared: SqliteStore | None, clock: SystemClock) -> tuple[SqliteRevocationRegister, HoldRegister]:
    if shared is None:
        return fresh_ends(clock)
    revocations = SqliteRevocationRegister(shared, clock=clock)
    return revocations, SqliteHoldRegister(shared, revocations)


def mandate_of(by: SigningKey, now: UnixMillis, name: MandateId) -> Mandate:
    """For the one agent and the one capability."""
    return signed_by(
        by, id=name, principal=PrincipalId("ada"), agent=AgentId("support-agent"), use_case="support",
        purpose="Answer the customer's question in case 4711",
        grants=(Grant(capability=CAPABILITY, caveats=(KindIn(kinds=("read",)),)),), caveats=(),
        calls_max=10**9, not_before=UnixMillis(now - 1000), expires_at=UnixMillis(now + 3_600_000),
    )  # fmt: skip


def signed_by(key: SigningKey, **terms: Any) -> Mandate:
    """A mandate signed with this key, as `issue_mandate` would have kept it."""
    unsigned_terms = MandateTerms(**terms)
    return signed(unsigned_terms, signed_mandate(unsigned_terms, audience="bench.example/walk", key=key))


def mixed(number: int) -> bytes:
    return body(number, str(number) if number % NEW_CASE_EACH == 0 else f"c-{number % CASES}")


def body(number: int, case: str = "4711") -> bytes:
    """A `tools/call` of about 0.8 KiB, as clients send it."""
    return encode(
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "tools/call",
            "params": {
                "name": "customer_read",
                "arguments": {"case_id": case, "fields": ["name", "email", "plan", "notes"], "limit": 20},
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


def unsigned(text: bytes, mandate: MandateId = MANDATE) -> SignedRequest:
    """A message without its proof."""
    return SignedRequest(
        method=b"POST", authority=AUTHORITY, target=TARGET, body=text, mandate=mandate.encode()
    )


def session_messages(course: Course) -> Iterator[Sent]:
    """Messages with a MAC under a session that one signed handshake opened."""
    private = os.urandom(EPHEMERAL_BYTES)
    offer = SignedRequest(
        method=b"POST",
        authority=AUTHORITY,
        target=SESSION_TARGET,
        body=encode_offer(ephemeral_public(private)),
    )
    signed = signed_message(course, offer)
    opened = course.verifier.open_session(signed)
    answer = parse_answer(opened.answer)
    base = signature_base(signed, parse_signature(signed).parameters)
    key = SessionKey(
        derive_key(private=private, public=answer.x25519, signature_base=base, answer=opened.answer)
    )
    number = 0
    while True:
        number += 1
        signed = sign_request(
            unsigned(mixed(number)),
            algorithm="hmac-sha256",
            keyid=answer.session,
            created=int(time.time()),
            nonce=str(number),
            sign=key.mac,
        )
        yield signed, None


def signed_message(course: Course, message: SignedRequest) -> SignedRequest:
    """The message with a signature of its own."""
    nonce = urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
    return sign_request(
        message,
        algorithm=course.key.algorithm,
        keyid=course.key.public.thumbprint,
        created=int(time.time()),
        nonce=f"{course.verifier.epoch}.{nonce}",
        sign=course.key.sign,
    )


def signed_messages(course: Course) -> Iterator[Sent]:
    """Messages with a signature each."""
    number = 0
    while True:
        number += 1
        yield signed_message(course, unsigned(mixed(number))), None


def channel_messages(_: Course) -> Iterator[Sent]:
    """Messages on one Unix-socket connection, whose other end the kernel knows."""
    peer = PeerCredentials(pid=4711, uid=PEER_UID, gid=PEER_UID, started=1)
    number = 0
    while True:
        number += 1
        yield unsigned(mixed(number)), Channel(connection=1, sequence=number, peer=peer)


async def one_action(course: Course, sent: Sent) -> None:
    """What the gateway does for one message, without HTTP."""
    message, channel = sent
    caller = course.verifier.verify(message, channel)
    call = cast("dict[str, dict[str, JSONValue]]", parse(message.body))["params"]
    request = action_request(
        server="crm",
        method="tools/call",
        target=cast("str", call["name"]),
        arguments=call["arguments"],
        mandate_id=message.mandate_id,
        reason=cast("dict[str, str]", call["_meta"])["answerable/reason"],
        message_digest=caller.message_digest,
        delegation=message.chain,
        parsed=True,
    )
    await govern_action(
        course.walk.recorder, course.walk.planning, course.walk.deciding, course.walk.live, request, caller
    )


class Scratch:
    """A directory on the disk that the product would use, gone afterwards."""

    def __enter__(self) -> Path:
        base = Path(".dev/bench")
        base.mkdir(parents=True, exist_ok=True)
        self._path = Path(tempfile.mkdtemp(dir=base))
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
