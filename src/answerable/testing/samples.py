"""Sample data for tests: a small, complete registry and matching mandates and approvals. Every call returns fresh
values.

Two people (alice, who gives tasks, and bob, who approves), one use case, one agent (scout), one stdio server (crm), two
capabilities, one template and one policy set. All keys are derived from their owners' names: they protect nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from answerable.core.approval.action_object import ACTION_TYP, VERSION
from answerable.core.approval.approval import Approval, ApprovalId
from answerable.core.approval.card import card_of
from answerable.core.canonical import freeze, parse
from answerable.core.decision.facts import Requirement
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.mandate import Grant, Mandate, MandateId, MandateTerms
from answerable.core.mandate.token import signed
from answerable.sdk.signing import signed_mandate
from answerable.testing.clock import START

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON, JSONValue

AUDIENCE: Final = "answerable.test"
OWNERSHIP: Final[dict[str, JSONValue]] = {
    "owner": "alice",
    "backupOwner": "bob",
    "approverGroup": "approvers",
    "auditLevel": "full",
    "reviewDate": "2027-06-30",
}
POLICIES: Final = '@id("all")\npermit (principal, action, resource);\n'


@cache
def signing_key(owner: str) -> SigningKey:
    """Return the Ed25519 key of a sample principal or agent."""
    return SigningKey(new_private_jwk("ed25519", sha256(owner.encode()).digest()))


def document(kind: str, name: str, spec: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return one registry document."""
    return {"apiVersion": "answerable/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def registry_documents() -> list[JSONValue]:
    """Return the whole sample registry; every document is active."""
    capability: dict[str, JSONValue] = {
        "server": "crm",
        "environment": "production",
        "sensitivity": "confidential",
        "ownership": dict(OWNERSHIP),
    }
    return [
        document("Principal", "alice", {"groups": ["approvers"], "keys": [_jwk("alice")]}),
        document("Principal", "bob", {"groups": ["approvers"], "keys": [_jwk("bob")]}),
        document("UseCase", "support", {"purpose": "Answer customers", "ownership": dict(OWNERSHIP)}),
        document(
            "Agent",
            "scout",
            {
                "useCase": "support",
                "environment": "production",
                "keys": [_jwk("scout")],
                "ownership": dict(OWNERSHIP),
            },
        ),
        document("Server", "crm", {"command": "crm-server", "args": ["--read-only"], "cwd": "/srv/crm"}),
        document(
            "Capability",
            "crm.read",
            {
                **capability,
                "target": "get_case",
                "kind": "read",
                "tier": 1,
                "resource": {"type": "Case", "argument": "case"},
                "arguments": [{"name": "case", "type": "string", "required": True}],
            },
        ),
        document(
            "Capability",
            "crm.refund",
            {
                **capability,
                "target": "refund",
                "kind": "pay",
                "tier": 3,
                "resource": {"type": "Case", "argument": "case"},
                "arguments": [
                    {"name": "case", "type": "string", "required": True},
                    {"name": "amount", "type": "minor_units", "required": True},
                ],
            },
        ),
        document(
            "MandateTemplate",
            "one-case",
            {
                "useCase": "support",
                "agent": "scout",
                "purpose": "Answer case {case}",
                "environment": "production",
                "callsMax": 20,
                "ttlSeconds": 3600,
                "parameters": [{"name": "case", "pattern": "[0-9]{4}"}],
                "grants": [
                    {"capability": "crm.read", "resources": ["{case}"]},
                    {"capability": "crm.refund", "resources": ["{case}"], "maxima": {"amount": 5000}},
                ],
            },
        ),
        document("PolicySet", "house", {"policies": POLICIES}),
    ]


def mandate_terms(identity: str = "m-1") -> MandateTerms:
    """Return terms by which alice lets scout read case 4711 for an hour."""
    return MandateTerms(
        id=MandateId(identity),
        principal=PrincipalId("alice"),
        agent=AgentId("scout"),
        use_case="support",
        purpose="Answer case 4711",
        grants=(Grant(capability="crm.read", caveats=(ResourceIn(ids=("4711",)),)),),
        caveats=(),
        calls_max=3,
        not_before=START,
        expires_at=UnixMillis(START + 3_600_000),
    )


def mandate(identity: str = "m-1", *, calls_max: int = 3) -> Mandate:
    """Return these terms as a mandate, signed by alice for `AUDIENCE`."""
    terms = replace(mandate_terms(identity), calls_max=calls_max)
    return signed(terms, signed_mandate(terms, audience=AUDIENCE, key=signing_key("alice")))


def approval(identity: str = "a-1", *, amount: int = 4200) -> Approval:
    """Return a refund that waits for one of the approvers, for ten minutes."""
    arguments: JSONValue = {"amount": amount, "case": "4711"}
    shown = action_shown(identity, arguments)
    return Approval(
        id=ApprovalId(identity),
        agent=AgentId("scout"),
        mandate=MandateId("m-1"),
        principal=PrincipalId("alice"),
        capability="crm.refund",
        action=freeze({"arguments": arguments, "method": "tools/call", "server": "crm", "target": "refund"}),
        requirements=(Requirement(group="approvers", count=1),),
        reasons=("refunds wait for a person",),
        created_at=START,
        expires_at=UnixMillis(START + 600_000),
        shown=shown,
        card=card_of(shown),
    )


def action_shown(identity: str, arguments: JSONValue) -> FrozenJSON:
    """Return the action object of that refund, in its envelope."""
    value: JSONValue = {
        "agent": "scout",
        "amounts": {},
        "arguments": arguments,
        "capability": "crm.refund",
        "chain": [],
        "destinations": [],
        "effects": {
            "environment": "production",
            "kind": "pay",
            "reversible": False,
            "sensitivity": "internal",
            "tier": 3,
        },
        "expires_at": START + 600_000,
        "mandate": "m-1",
        "manifest": "",
        "method": "tools/call",
        "narrowed_from": None,
        "not_before": START,
        "noted": [],
        "obligations": [],
        "policy_set": "0" * 64,
        "principals": ["alice"],
        "purpose": "Answer case 4711",
        "requirements": [["approvers", 1]],
        "resource": {"id": "4711", "type": "Case"},
        "rules": ["refunds-wait"],
        "server": "crm",
        "subject": "",
        "target": "refund",
        "title": "",
        "tool": "1" * 64,
        "txn": identity,
        "use_case": "support",
        "v": VERSION,
    }
    return freeze({"iss": AUDIENCE, "typ": ACTION_TYP, "value": value})


def _jwk(owner: str) -> dict[str, JSONValue]:
    return cast("dict[str, JSONValue]", parse(signing_key(owner).public.jwk.encode()))
