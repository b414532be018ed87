"""The kinds of signed statements, and claims of each that are off in a way of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from answerable.core.approval.batch_answer import BATCH_TYP
from answerable.core.approval.deputy_statement import DUTY_TYP
from answerable.core.approval.review import REVIEW_TYP
from answerable.core.approval.token import APPROVAL_TYP
from answerable.core.containment.lift import LIFT_TYP
from answerable.core.identity.keys.compact_jws import read_compact
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.identity.workload.enrolment import (
    PROOF_TYP,
    enrolment_proof,
)
from answerable.core.ledger.warrant_token import WARRANT_TYP
from answerable.core.incident.incident_statement import INCIDENT_TYP, incident_claims
from answerable.core.mandate.delegation_terms import TYP as HOP_TYP
from answerable.core.mandate.status_list import (
    STATUS_LIST_TYP,
    StatusList,
    signed_status_list,
)
from answerable.core.mandate.token import MANDATE_TYP
from answerable.core.registry.manifests.manifest_token import (
    MANIFEST_TYP,
    signed_manifest,
)
from answerable.core.registry.policy_sets.publication import (
    PUBLICATION_TYP,
)
from answerable.core.registry.tools.tool_approval import TOOL_TYP, signed_approval
from answerable.errors.codes.identity import STATEMENT_MALFORMED
from answerable.sdk.signing import (
    signed_duty,
    signed_incident,
    signed_lift,
    signed_mandate,
)
from answerable.testing.contracts.manifest_register import sample_manifest
from answerable.testing.samples import AUDIENCE, signing_key
from tests.vectors.answerable.statements.readers import (
    DUTY,
    ENROLLING,
    HERE,
    HEX,
    HOLD,
    NOW,
    SECONDS,
    URI,
    answer,
    answered,
    answered_many,
    client,
    client_read,
    duty,
    enrolled,
    hop,
    hop_read,
    incident,
    large,
    lifted,
    mandate,
    manifest,
    many,
    review,
    reviewed,
    status,
    step,
    stepped,
    tool,
    warranted,
)
from tests.worlds.lease import warrant

TIMES = (
    {"iat_ms": NOW - 299_999},
    {"iat_ms": NOW - 300_000},
    {"iat_ms": NOW + 60_000},
    {"iat_ms": NOW + 60_001},
)
ELSEWHERE = {"aud": "elsewhere"}


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
    return dict(read_compact(token, malformed=STATEMENT_MALFORMED).header)


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
        sign=lambda: signed_mandate(large(), audience=AUDIENCE, key=signing_key("alice")),
        read=mandate,
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
    Kind(name="approve", typ=APPROVAL_TYP, signer="bob", sign=answer("approve"), read=answered, more=ANSWERS),
    Kind(name="deny", typ=APPROVAL_TYP, signer="bob", sign=answer("deny"), read=answered, more=ANSWERS),
    Kind(
        name="narrower",
        typ=APPROVAL_TYP,
        signer="bob",
        sign=answer("deny", reason="narrower", narrower='{"amount":10}'),
        read=answered,
        more=ANSWERS,
    ),
    Kind(
        name="break_glass",
        typ=APPROVAL_TYP,
        signer="bob",
        sign=answer("break_glass"),
        read=answered,
        more=ANSWERS,
    ),
    Kind(
        name="approve_many",
        typ=BATCH_TYP,
        signer="bob",
        sign=many("approve"),
        read=answered_many,
        more=BATCHES,
    ),
    Kind(name="deny_many", typ=BATCH_TYP, signer="bob", sign=many("deny"), read=answered_many, more=BATCHES),
    Kind(
        name="review",
        typ=REVIEW_TYP,
        signer="alice",
        sign=review,
        read=reviewed,
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
        read=duty,
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
        sign=step("propose", attached=HEX),
        read=stepped("propose"),
        more=STEPS,
    ),
    Kind(
        name="publish",
        typ=PUBLICATION_TYP,
        signer="alice",
        sign=step("publish", proposal="3" * 32),
        read=stepped("publish"),
        more=STEPS,
    ),
    Kind(
        name="rollback",
        typ=PUBLICATION_TYP,
        signer="alice",
        sign=step("rollback"),
        read=stepped("rollback"),
        more=STEPS,
    ),
    Kind(
        name="manifest",
        typ=MANIFEST_TYP,
        signer="alice",
        sign=lambda: signed_manifest(
            sample_manifest(), owner=PrincipalId("alice"), key=signing_key("alice"), at=NOW
        ),
        read=manifest,
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
        read=tool,
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
        read=lifted,
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
        name="incident",
        typ=INCIDENT_TYP,
        signer="bob",
        sign=lambda: signed_incident(
            incident_claims(
                "bob",
                AUDIENCE,
                "it is odd",
                at=NOW,
                random=bytes(range(16)),
                change="opened",
                kind="agent",
                name="scout",
                since_ms=1,
                classes=["serious"],
            ),
            key=signing_key("bob"),
        ),
        read=incident,
        more=(
            *TIMES,
            ELSEWHERE,
            {"incident": "inc_" + "b" * 22},
            {"entry": 3},
            {"change": "noted"},
            {"kind": "window"},
            {"until_ms": 1},
            {"classes": ["serious", "death"]},
            {"classes": ["odd"]},
            {"told": "gdpr-33", "told_ms": 1},
            {"question": 1},
            {"answers": 3},
            {"text": "two\nlines"},
            {"text": "t" * 2001},
        ),
    ),
    Kind(
        name="warrant",
        typ=WARRANT_TYP,
        signer="gateway",
        sign=lambda: warrant(now=NOW).signed(signing_key("gateway")),
        read=warranted,
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
        read=enrolled,
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
        read=status,
        more=({"sub": "https://elsewhere.example/1"}, {"exp": SECONDS}, {"iat": SECONDS + 61}, {"ttl": 0}),
    ),
    Kind(name="hop", typ=HOP_TYP, signer="gateway", sign=hop, read=hop_read),
    Kind(
        name="client",
        typ="JWT",
        signer="scout",
        sign=client,
        read=client_read,
        more=({"aud": "https://elsewhere.example"}, {"exp": SECONDS}, {"iat": SECONDS + 6}, {"iss": "rover"}),
    ),
)
