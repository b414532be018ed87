"""The kinds of signed statements: how one is signed, and how it is read by who it is for.

Only the ways that the product itself takes: a reader here is the function that a flow calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from answerable.core.approval.approval import Answer, Approval
from answerable.core.approval.batch import batch_of
from answerable.core.approval.batch_answer import BATCH_TYP, verify_batch
from answerable.core.approval.break_glass import answer_digest
from answerable.core.approval.duty_delegation import DUTY_TYP, DutyTerms, check_times, verified_duty
from answerable.core.approval.review import REVIEW_TYP, verify_review
from answerable.core.approval.token import APPROVAL_TYP, Verdict, verify_answer
from answerable.core.canonical import freeze
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId
from answerable.core.containment.lift import LIFT_TYP, verified_lift
from answerable.core.identity.keys.compact_jws import read_compact, signed_statement
from answerable.core.identity.keys.keys import PublicKey
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.proof.client_assertion import verified_assertion
from answerable.core.identity.workload.enrolment import (
    PROOF_TYP,
    enrolment_proof,
    verified_enrolment_proof,
)
from answerable.core.ledger.warrant_token import WARRANT_TYP, verified_warrant
from answerable.core.mandate.delegation_terms import TYP as HOP_TYP
from answerable.core.mandate.hop_signature import DelegatorBound
from answerable.core.mandate.hop_signing import HopTerms, issue_root
from answerable.core.mandate.hop_token import Mission, confirmation_of, read_hop
from answerable.core.mandate.mandate import MandateTerms
from answerable.core.mandate.status_list import (
    STATUS_LIST_TYP,
    StatusList,
    signed_status_list,
    verified_status_list,
)
from answerable.core.mandate.token import MANDATE_TYP, claims_of, verify_mandate
from answerable.core.registry.documents.documents import Principal
from answerable.core.registry.manifests.manifest_token import (
    MANIFEST_TYP,
    signed_manifest,
    stored_manifest,
    verified_manifest,
)
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.policy_sets.publication import (
    PUBLICATION_TYP,
    PublicationStep,
    Terms,
    verified_step,
)
from answerable.core.registry.tools.tool_approval import TOOL_TYP, signed_approval, verified_approval
from answerable.errors import Unverified
from answerable.sdk.signing import (
    signed_answer,
    signed_batch,
    signed_duty,
    signed_lift,
    signed_mandate,
    signed_review,
    signed_step,
)
from answerable.testing.clock import START
from answerable.testing.contracts.manifest_register import sample_manifest
from answerable.testing.delegation import NARROW
from answerable.testing.samples import AUDIENCE, approval, mandate_terms, registry_documents, signing_key
from tests.worlds.lease import warrant

NOW = UnixMillis(START + 1000)
SECONDS = NOW // 1000
NONCE = bytes(range(32))
HEX = "ab" * 32
URI = "https://gateway.example/status/1"
ENROLLING = {"agent": "scout", "kind": "key"}
HERE = TrustDomain("example.test")
ISSUER = "https://tokens.example"
HOLD = Hold(id=HoldId("hold_" + "a" * 22), what=EVERYTHING, at=NOW, by="uid:0")
TIMES = (
    {"iat_ms": NOW - 299_999},
    {"iat_ms": NOW - 300_000},
    {"iat_ms": NOW + 60_000},
    {"iat_ms": NOW + 60_001},
)
ELSEWHERE = {"aud": "elsewhere"}


def _registry() -> Any:
    """The sample registry, with a third person who owns nothing."""
    current = snapshot_of(registry_documents())
    name = PrincipalId("mallory")
    stranger = Principal(name=name, display_name="Mallory", keys=(signing_key(name).public,))
    return replace(current, principals={**current.principals, name: stranger})


CURRENT = _registry()


def keys_of(name: str) -> tuple[PublicKey, ...]:
    keys: tuple[PublicKey, ...] = CURRENT.person_keys(name)
    return keys


@dataclass(frozen=True, kw_only=True)
class Kind:
    """signer: whose key signs. read: what the reader makes of a token, as JSON. more: claims that are off in a way of
    this kind's own."""

    name: str
    typ: str
    signer: str
    sign: Callable[[], str]
    read: Callable[[str], dict[str, Any]]
    more: tuple[dict[str, Any], ...] = field(default=())


def header_of(token: str) -> dict[str, str]:
    return dict(read_compact(token, step="vector").header)


def _mandate(token: str) -> dict[str, Any]:
    found = verify_mandate(token, keys_of=keys_of, audience=AUDIENCE)
    return {**claims_of(found, audience=AUDIENCE), "token": found.token == token}


def _large() -> MandateTerms:
    return replace(mandate_terms(), budgets=(("money:EUR", 500),))


def _answer(verdict: Verdict, *, reason: str = "", narrower: str = "") -> Callable[[], str]:
    return lambda: signed_answer(
        _waiting(),
        nonce=NONCE,
        by=PrincipalId("bob"),
        verdict=verdict,
        comment="the customer waits, and nobody else is there",
        reason=reason,
        narrower=narrower,
        audience=AUDIENCE,
        at=NOW,
        key=signing_key("bob"),
    )


def _answered(token: str) -> dict[str, Any]:
    said = verify_answer(token, keys_of=keys_of, audience=AUDIENCE, approval=_waiting(), now=NOW)
    words = {"reason": said.words.reason, "comment": said.words.comment, "narrower": said.words.narrower}
    return {"by": said.by, "verdict": said.verdict, **words, "at": said.at, "nonce": said.nonce.hex()}


def _waiting(identity: str = "a-1") -> Approval:
    """Of an object and a card that do not follow the words of cards: what is signed is over their hashes."""
    shown, card = (freeze({"of": identity, "what": what}) for what in ("object", "card"))
    return replace(approval(identity), shown=shown, card=card)


BATCH = batch_of([_waiting("a-1"), _waiting("a-2")])


def _many(verdict: Verdict) -> Callable[[], str]:
    return lambda: signed_batch(
        BATCH,
        nonce=NONCE,
        by=PrincipalId("bob"),
        verdict=verdict,
        comment="all of them",
        audience=AUDIENCE,
        at=NOW,
        key=signing_key("bob"),
    )


def _answered_many(token: str) -> dict[str, Any]:
    said, nonce = verify_batch(token, keys_of=keys_of, audience=AUDIENCE, batch=BATCH, now=NOW)
    return {
        "by": said.iss,
        "verdict": said.verdict,
        "reason": said.reason,
        "size": said.size,
        "nonce": nonce.hex(),
    }


BROKEN = Answer(
    by=PrincipalId("bob"),
    groups=("approvers",),
    verdict="break_glass",
    comment="the customer waits, and nobody else is there",
    at=NOW,
    token="a.b.c",
)


def _review() -> str:
    return signed_review(
        approval="a-1",
        action=_waiting().shown.hex,
        answer=answer_digest(BROKEN),
        by=PrincipalId("alice"),
        verdict="justified",
        comment="it had to be",
        audience=AUDIENCE,
        at=NOW,
        key=signing_key("alice"),
    )


def _reviewed(token: str) -> dict[str, Any]:
    said = verify_review(
        token, keys_of=keys_of, audience=AUDIENCE, approval=_waiting(), answer=BROKEN, now=NOW
    )
    return {"by": said.by, "verdict": said.verdict, "comment": said.comment}


DUTY = DutyTerms(
    of=PrincipalId("bob"),
    audience=AUDIENCE,
    id="d" * 22,
    group="approvers",
    to=PrincipalId("alice"),
    since=NOW,
    until=UnixMillis(NOW + 86_400_000),
    reason="away",
    at=NOW,
)


def _duty(token: str) -> dict[str, Any]:
    terms, key = verified_duty(token, audience=AUDIENCE, keys_of=keys_of)
    check_times(terms, NOW)
    return {"claims": terms.claims(), "key": key}


def _step(step: PublicationStep, **more: str) -> Callable[[], str]:
    terms = Terms(step=step, before="1" * 64, after="2" * 64, comment="why", **more)
    return lambda: signed_step(
        terms, by=PrincipalId("alice"), audience=AUDIENCE, at=NOW, key=signing_key("alice")
    )


def _stepped(step: PublicationStep) -> Callable[[str], dict[str, Any]]:
    def read(token: str) -> dict[str, Any]:
        said = verified_step(token, wanted=step, audience=AUDIENCE, current=CURRENT, now=NOW)
        names = ("by", "key", "step", "before", "after", "proposal", "attached", "comment", "at")
        return {name: getattr(said, name) for name in names}

    return read


def _manifest(token: str) -> dict[str, Any]:
    said = verified_manifest(token, current=CURRENT)
    assert stored_manifest(token) == said
    return {"by": said.signed_by, "at": said.signed_at, "key": said.key, "digest": said.digest}


def _tool(token: str) -> dict[str, Any]:
    said = verified_approval(token, current=CURRENT)
    names = ("server", "tool", "definition", "previous", "signed_by", "signed_at", "key")
    return {name: getattr(said, name) for name in names}


def _lifted(token: str) -> dict[str, Any]:
    said = verified_lift(token, hold=HOLD, audience=AUDIENCE, current=CURRENT, now=NOW)
    return {"by": said.by, "key": said.key, "reason": said.reason, "at": said.at}


def _warrant(token: str) -> dict[str, Any]:
    said = verified_warrant(token, broker="broker", keys=(signing_key("gateway").public,), now=NOW)
    assert said.signed(signing_key("gateway")) == token or said.log != warrant(now=NOW).log
    return {
        "log": said.log,
        "intent": said.intent,
        "lease": said.lease.name,
        "under": [[*one] for one in said.under],
    }


def _enrolled(token: str) -> dict[str, Any]:
    key = signing_key("scout").public
    return {"challenge": verified_enrolment_proof(token, ENROLLING, key=key, domain=HERE)}


def _status(token: str) -> dict[str, Any]:
    said = verified_status_list(token, uri=URI, keys=(signing_key("gateway").public,), now=NOW)
    times = {"issued_at": said.issued_at, "expires_at": said.expires_at, "ttl": said.ttl}
    return {"uri": said.uri, **times, "statuses": said.statuses.statuses.hex()}


def _hop() -> str:
    terms = HopTerms(
        jti="h-1",
        agent="scout",
        confirmation=confirmation_of(signing_key("scout").public),
        audiences=(AUDIENCE,),
        authority=NARROW,
        issued_at=NOW,
        expires_at=UnixMillis(NOW + 300_000),
        depth_limit=2,
    )
    mission = Mission(id="m-1", authority_hash="sha-256:" + "A" * 43)
    return issue_root(terms, issuer=ISSUER, principal="alice", mission=mission, key=signing_key("gateway"))


def _hop_read(token: str) -> dict[str, Any]:
    def trusted(issuer: str) -> tuple[PublicKey, ...]:
        return (signing_key("gateway").public,) if issuer == ISSUER else ()

    hop = read_hop(token)
    form = DelegatorBound(trusted).form(hop, None)
    return {
        "jti": hop.jti,
        "agent": hop.agent,
        "principal": hop.principal,
        "form": form,
        "hash": hop.raw.hash,
    }


def _client() -> str:
    claims = {
        "iss": "scout",
        "sub": "scout",
        "aud": ISSUER,
        "iat": SECONDS,
        "exp": SECONDS + 60,
        "jti": "j-1",
    }
    return signed_statement(claims, typ="JWT", key=signing_key("scout"))


def _client_read(token: str) -> dict[str, Any]:
    def key_of(thumbprint: str) -> PublicKey:
        key = signing_key("scout").public
        if thumbprint != key.thumbprint:
            raise Unverified("nobody has this key", code="client.key", step="client")
        return key

    said = verified_assertion(token, issuer=ISSUER, key_of=key_of, now=NOW)
    return {"client": said.client, "id": said.id, "at": said.issued_at, "until": said.expires_at}


ANSWERS = (
    *TIMES,
    ELSEWHERE,
    {"approval": "a-2"},
    {"action": HEX},
    {"rendering": HEX},
    {"nonce": "AA"},
    {"verdict": "maybe"},
    {"verdict": "approve"},
    {"verdict": "deny"},
    {"verdict": "break_glass"},
    {"verdict": "deny", "reason": "other"},
    {"reason": "other"},
    {"reason": "no reason"},
    {"comment": "c" * 1001},
    {"narrower": "{}"},
)
BATCHES = (*TIMES, ELSEWHERE, {"root": HEX}, {"size": 3}, {"nonce": "AA"}, {"verdict": "break_glass"})
STEPS = (
    *TIMES,
    ELSEWHERE,
    {"step": "propose"},
    {"step": "publish"},
    {"step": "rollback"},
    {"comment": "c" * 1001},
)

KINDS: tuple[Kind, ...] = (
    Kind(
        name="mandate",
        typ=MANDATE_TYP,
        signer="alice",
        sign=lambda: signed_mandate(_large(), audience=AUDIENCE, key=signing_key("alice")),
        read=_mandate,
        more=(
            ELSEWHERE,
            {"jti": "no id"},
            {"sub": "No Agent"},
            {"use_case": "No Case"},
            {"grants": [["crm.read"]]},
            {"caveats": [["unheard-of"]] * 3},
            {"budgets": {}},
            {"budgets": {"money:EUR": -1}},
            {"delegation": {}},
            {"application": "shop"},
            {"application": 7},
            {"application": ""},
            {"id_token": "x"},
            {"application": "shop", "id_token": ""},
        ),
    ),
    Kind(
        name="approve", typ=APPROVAL_TYP, signer="bob", sign=_answer("approve"), read=_answered, more=ANSWERS
    ),
    Kind(name="deny", typ=APPROVAL_TYP, signer="bob", sign=_answer("deny"), read=_answered, more=ANSWERS),
    Kind(
        name="narrower",
        typ=APPROVAL_TYP,
        signer="bob",
        sign=_answer("deny", reason="narrower", narrower='{"amount":10}'),
        read=_answered,
        more=ANSWERS,
    ),
    Kind(
        name="break_glass",
        typ=APPROVAL_TYP,
        signer="bob",
        sign=_answer("break_glass"),
        read=_answered,
        more=ANSWERS,
    ),
    Kind(
        name="approve_many",
        typ=BATCH_TYP,
        signer="bob",
        sign=_many("approve"),
        read=_answered_many,
        more=BATCHES,
    ),
    Kind(
        name="deny_many", typ=BATCH_TYP, signer="bob", sign=_many("deny"), read=_answered_many, more=BATCHES
    ),
    Kind(
        name="review",
        typ=REVIEW_TYP,
        signer="alice",
        sign=_review,
        read=_reviewed,
        more=(
            *TIMES,
            ELSEWHERE,
            {"approval": "a-2"},
            {"action": HEX},
            {"answer": HEX},
            {"verdict": "unjustified"},
            {"verdict": "maybe"},
            {"comment": "c" * 1001},
        ),
    ),
    Kind(
        name="duty",
        typ=DUTY_TYP,
        signer="bob",
        sign=lambda: signed_duty(DUTY, key=signing_key("bob")),
        read=_duty,
        more=(
            *TIMES,
            ELSEWHERE,
            {"id": "short"},
            {"group": "No Group"},
            {"to": "bob"},
            {"to": "No Name"},
            {"reason": "two\nlines"},
            {"reason": "r" * 501},
            {"from_ms": NOW + 86_400_001},
            {"from_ms": -5},
            {"until_ms": NOW - 5, "from_ms": NOW - 10},
            {"until_ms": NOW + 8_640_000_000},
            {"from_ms": NOW + 8_640_000_000, "until_ms": NOW + 8_640_000_001},
        ),
    ),
    Kind(
        name="propose",
        typ=PUBLICATION_TYP,
        signer="alice",
        sign=_step("propose", attached=HEX),
        read=_stepped("propose"),
        more=STEPS,
    ),
    Kind(
        name="publish",
        typ=PUBLICATION_TYP,
        signer="alice",
        sign=_step("publish", proposal="3" * 32),
        read=_stepped("publish"),
        more=STEPS,
    ),
    Kind(
        name="rollback",
        typ=PUBLICATION_TYP,
        signer="alice",
        sign=_step("rollback"),
        read=_stepped("rollback"),
        more=STEPS,
    ),
    Kind(
        name="manifest",
        typ=MANIFEST_TYP,
        signer="alice",
        sign=lambda: signed_manifest(
            sample_manifest(), owner=PrincipalId("alice"), key=signing_key("alice"), at=NOW
        ),
        read=_manifest,
        more=(
            {"sub": "rover"},
            {"sub": "No Agent"},
            {"manifest": {"v": 1}},
            {"iat_ms": 0},
            {"aud": AUDIENCE},
        ),
    ),
    Kind(
        name="tool",
        typ=TOOL_TYP,
        signer="alice",
        sign=lambda: signed_approval(
            "crm",
            "get_case",
            definition="1" * 64,
            previous="",
            owner=PrincipalId("alice"),
            key=signing_key("alice"),
            at=NOW,
        ),
        read=_tool,
        more=(
            {"previous": HEX},
            {"previous": "AB"},
            {"definition": "A" * 64},
            {"server": "No Server"},
            {"server": "payments"},
            {"tool": "refund_all"},
            {"tool": "get\u200bcase"},
            {"aud": AUDIENCE},
        ),
    ),
    Kind(
        name="lift",
        typ=LIFT_TYP,
        signer="bob",
        sign=lambda: signed_lift(
            HOLD,
            by=PrincipalId("bob"),
            reason="looked at it",
            audience=AUDIENCE,
            at=NOW,
            key=signing_key("bob"),
        ),
        read=_lifted,
        more=(
            *TIMES,
            ELSEWHERE,
            {"hold": "hold_" + "b" * 22},
            {"digest": HEX},
            {"reason": "two\nlines"},
            {"reason": "r" * 1001},
        ),
    ),
    Kind(
        name="warrant",
        typ=WARRANT_TYP,
        signer="gateway",
        sign=lambda: warrant(now=NOW).signed(signing_key("gateway")),
        read=_warrant,
        more=(
            ELSEWHERE,
            {"leaf": "AB"},
            {"deadline_ms": NOW},
            {"lease": "no lease"},
            {"window": "week"},
            {"scope": "{ }"},
            {"under": [["agent", "scout", "x"]]},
            {"under": [["agent", "scout"]] * 257},
            {"server": "s" * 2049},
            {"action": "0" * 32},
        ),
    ),
    Kind(
        name="enrolment",
        typ=PROOF_TYP,
        signer="scout",
        sign=lambda: enrolment_proof(ENROLLING, challenge="c-1", domain=HERE, key=signing_key("scout")),
        read=_enrolled,
        more=(ELSEWHERE, {"request": HEX}, {"challenge": "another"}),
    ),
    Kind(
        name="status",
        typ=STATUS_LIST_TYP,
        signer="gateway",
        sign=lambda: signed_status_list(
            StatusList(bits=1, statuses=bytes(4)),
            uri=URI,
            at=NOW,
            ttl=60,
            lifetime_seconds=600,
            key=signing_key("gateway"),
        ),
        read=_status,
        more=({"sub": "https://elsewhere.example/1"}, {"exp": SECONDS}, {"iat": SECONDS + 61}, {"ttl": 0}),
    ),
    Kind(name="hop", typ=HOP_TYP, signer="gateway", sign=_hop, read=_hop_read),
    Kind(
        name="client",
        typ="JWT",
        signer="scout",
        sign=_client,
        read=_client_read,
        more=({"aud": "https://elsewhere.example"}, {"exp": SECONDS}, {"iat": SECONDS + 6}, {"iss": "rover"}),
    ),
)
