"""How a statement of each kind is signed, and read by who it is for.

Only the ways that the product itself takes: a reader here calls the function that a flow calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from answerable.core.approval.approval import Answer, Approval
from answerable.core.approval.batch import batch_of
from answerable.core.approval.batch_answer import verify_batch
from answerable.core.approval.emergency_access import answer_digest
from answerable.core.approval.deputy_statement import DutyTerms, check_times, verified_duty
from answerable.core.approval.review import verify_review
from answerable.core.approval.token import Verdict, verify_answer
from answerable.core.canonical import freeze
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId
from answerable.core.containment.lift import verified_lift
from answerable.core.incident.incident_statement import verified_incident
from answerable.core.statement import claims_in
from answerable.core.identity.keys.compact_jws import signed_statement
from answerable.core.identity.keys.keys import PublicKey
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.proof.client_assertion import verified_assertion
from answerable.core.identity.workload.enrolment import (
    verified_enrolment_proof,
)
from answerable.core.ledger.warrant_token import verified_warrant
from answerable.core.mandate.hop_signature import DelegatorBound
from answerable.core.mandate.hop_signing import HopTerms, issue_root
from answerable.core.mandate.hop_token import Mission, confirmation_of, read_hop
from answerable.core.mandate.mandate import MandateTerms
from answerable.core.mandate.status_list import (
    verified_status_list,
)
from answerable.core.mandate.token import claims_of, verify_mandate
from answerable.core.registry.documents.documents import Principal
from answerable.core.registry.manifests.manifest_token import (
    stored_manifest,
    verified_manifest,
)
from answerable.core.registry.parsing.active import snapshot_of
from answerable.core.registry.policy_sets.publication import (
    PublicationStep,
    Terms,
    verified_step,
)
from answerable.core.registry.tools.tool_approval import verified_approval
from answerable.errors import Unverified
from answerable.sdk.signing import (
    signed_answer,
    signed_batch,
    signed_review,
    signed_step,
)
from answerable.testing.clock import START
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


def mandate(token: str) -> dict[str, Any]:
    found = verify_mandate(token, keys_of=keys_of, audience=AUDIENCE)
    return {**claims_of(found, audience=AUDIENCE), "token": found.token == token}


def large() -> MandateTerms:
    return replace(mandate_terms(), budgets=(("money:EUR", 500),))


def answer(verdict: Verdict, *, reason: str = "", narrower: str = "") -> Callable[[], str]:
    return lambda: signed_answer(
        waiting(),
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


def answered(token: str) -> dict[str, Any]:
    said = verify_answer(token, keys_of=keys_of, audience=AUDIENCE, approval=waiting(), now=NOW)
    words = {"reason": said.words.reason, "comment": said.words.comment, "narrower": said.words.narrower}
    return {"by": said.by, "verdict": said.verdict, **words, "at": said.at, "nonce": said.nonce.hex()}


def waiting(identity: str = "a-1") -> Approval:
    """Of an object and a card that do not follow the words of cards: what is signed is over their hashes."""
    shown, card = (freeze({"of": identity, "what": what}) for what in ("object", "card"))
    return replace(approval(identity), shown=shown, card=card)


BATCH = batch_of([waiting("a-1"), waiting("a-2")])


def many(verdict: Verdict) -> Callable[[], str]:
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


def answered_many(token: str) -> dict[str, Any]:
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


def review() -> str:
    return signed_review(
        approval="a-1",
        action=waiting().shown.hex,
        answer=answer_digest(BROKEN),
        by=PrincipalId("alice"),
        verdict="justified",
        comment="it had to be",
        audience=AUDIENCE,
        at=NOW,
        key=signing_key("alice"),
    )


def reviewed(token: str) -> dict[str, Any]:
    said = verify_review(
        token, keys_of=keys_of, audience=AUDIENCE, approval=waiting(), answer=BROKEN, now=NOW
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


def duty(token: str) -> dict[str, Any]:
    terms, key = verified_duty(token, audience=AUDIENCE, keys_of=keys_of)
    check_times(terms, NOW)
    return {"claims": terms.claims(), "key": key}


def step(step: PublicationStep, **more: str) -> Callable[[], str]:
    terms = Terms(step=step, before="1" * 64, after="2" * 64, comment="why", **more)
    return lambda: signed_step(
        terms, by=PrincipalId("alice"), audience=AUDIENCE, at=NOW, key=signing_key("alice")
    )


def stepped(step: PublicationStep) -> Callable[[str], dict[str, Any]]:
    def read(token: str) -> dict[str, Any]:
        said = verified_step(token, wanted=step, audience=AUDIENCE, current=CURRENT, now=NOW)
        names = ("by", "key", "step", "before", "after", "proposal", "attached", "comment", "at")
        return {name: getattr(said, name) for name in names}

    return read


def manifest(token: str) -> dict[str, Any]:
    said = verified_manifest(token, current=CURRENT)
    assert stored_manifest(token) == said
    return {"by": said.signed_by, "at": said.signed_at, "key": said.key, "digest": said.digest}


def tool(token: str) -> dict[str, Any]:
    said = verified_approval(token, current=CURRENT)
    names = ("server", "tool", "definition", "previous", "signed_by", "signed_at", "key")
    return {name: getattr(said, name) for name in names}


def lifted(token: str) -> dict[str, Any]:
    said = verified_lift(token, hold=HOLD, audience=AUDIENCE, current=CURRENT, now=NOW)
    return {"by": said.by, "key": said.key, "reason": said.reason, "at": said.at}


def incident(token: str) -> dict[str, Any]:
    said, key = verified_incident(token, audience=AUDIENCE, current=CURRENT, now=NOW)
    return {**claims_in(said), "key": key}


def warranted(token: str) -> dict[str, Any]:
    said = verified_warrant(token, broker="broker", keys=(signing_key("gateway").public,), now=NOW)
    assert said.signed(signing_key("gateway")) == token or said.log != warrant(now=NOW).log
    return {
        "log": said.log,
        "intent": said.intent,
        "lease": said.lease.name,
        "under": [[*one] for one in said.under],
    }


def enrolled(token: str) -> dict[str, Any]:
    key = signing_key("scout").public
    return {"challenge": verified_enrolment_proof(token, ENROLLING, key=key, domain=HERE)}


def status(token: str) -> dict[str, Any]:
    said = verified_status_list(token, uri=URI, keys=(signing_key("gateway").public,), now=NOW)
    times = {"issued_at": said.issued_at, "expires_at": said.expires_at, "ttl": said.ttl}
    return {"uri": said.uri, **times, "statuses": said.statuses.statuses.hex()}


def hop() -> str:
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


def hop_read(token: str) -> dict[str, Any]:
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


def client() -> str:
    claims = {
        "iss": "scout",
        "sub": "scout",
        "aud": ISSUER,
        "iat": SECONDS,
        "exp": SECONDS + 60,
        "jti": "j-1",
    }
    return signed_statement(claims, typ="JWT", key=signing_key("scout"))


def client_read(token: str) -> dict[str, Any]:
    def key_of(thumbprint: str) -> PublicKey:
        key = signing_key("scout").public
        if thumbprint != key.thumbprint:
            raise Unverified("nobody has this key", code="client.key", step="client")
        return key

    said = verified_assertion(token, issuer=ISSUER, key_of=key_of, now=NOW)
    return {"client": said.client, "id": said.id, "at": said.issued_at, "until": said.expires_at}
