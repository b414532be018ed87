"""Approvals that are alike but for what a test says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.core.action.tool_definition import ToolDefinition
from answerable.core.approval.approval_grouping import Group, Grouped, grouped
from answerable.core.approval.batch import batch_challenge
from answerable.core.approval.card import card_of
from answerable.core.approval.features import features_of
from answerable.core.approval.words import words_of
from answerable.core.canonical import encode, freeze
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.mandate.mandate import Grant
from answerable.flows.approval.answer_many import AnsweredMany, answer_many, answer_many_by_passkey, open_many
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.flows.state.walk_limits import WalkLimits
from answerable.sdk.signing import signed_batch
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.recording_upstream import RecordingUpstream
from answerable.testing.registers import fresh
from answerable.testing.samples import AUDIENCE, OWNERSHIP, approval, document, signing_key
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from answerable.testing.tool_pins import ApprovedAsSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.capability import Capability

PAYING = (
    POLICIES + '@id("pay") permit (principal, action == Action::"bank.pay", resource);'
    '@id("payments") @reason("payments wait for an approver") @approve("approvers:1")'
    'forbid (principal, action == Action::"bank.pay", resource);'
)
TOOL: JSONValue = {
    "name": "pay",
    "description": "Pay an invoice",
    "inputSchema": {
        "type": "object",
        "properties": {
            "invoice": {"type": "string"}, "payee": {"type": "string"}, "amount": {"type": "integer"},
            "note": {"type": "string"},
        },
        "required": ["invoice", "payee", "amount"],
    },
    "annotations": {
        "readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True,
    },
}  # fmt: skip


def payment(number: int, *, members: dict[str, JSONValue] | None = None, **arguments: JSONValue) -> Approval:
    """A payment of the high tier to one payee, each with its invoice. members: of the action object, as they differ."""
    made = approval(f"p-{number:04d}")
    envelope = made.shown.thaw()
    assert isinstance(envelope, dict)
    value = envelope["value"]
    assert isinstance(value, dict)
    assert isinstance(value["effects"], dict)
    value["effects"] = {**value["effects"], "tier": 2}
    said: dict[str, JSONValue] = {
        "amount": 100 + number % 50,
        "invoice": f"INV-{number:04d}",
        "payee": "Acme GmbH",
        **arguments,
    }
    value["arguments"] = {name: one for name, one in said.items() if one is not None}
    value.update(members or {})
    shown = freeze(envelope)
    action = freeze({name: value[name] for name in ("arguments", "method", "server", "target")})
    return replace(made, shown=shown, card=card_of(shown), action=action)


def payments(count: int, **odd: Approval) -> list[Approval]:
    """So many; odd: by `n137`, what stands in a place instead."""
    return [odd.get(f"n{number}") or payment(number) for number in range(count)]


def groups_of(waiting: Iterable[Approval]) -> Grouped:
    return grouped(waiting, features_of)


def only_group(waiting: Iterable[Approval]) -> Group:
    """The one group that they are, with nobody beside it."""
    found = groups_of(waiting)
    assert not found.alone
    (group,) = found.groups
    return group


@dataclass(slots=True, kw_only=True)
class PayingUpstream(RecordingUpstream):
    """Its server pays, too."""

    def definition(self, capability: Capability) -> ToolDefinition | None:
        if capability.target != "pay":
            return RecordingUpstream.definition(self, capability)
        text = encode(TOOL)
        return ToolDefinition(text=text, digest=sha256(text).hexdigest(), violations=lambda _: ())


def paying_documents(policies: str = PAYING, *, tier: int = 2) -> list[JSONValue]:
    """The registry of a bench, with payments that wait for an approver."""
    spec: dict[str, JSONValue] = {
        "server": "crm",
        "environment": "production",
        "sensitivity": "internal",
        "ownership": dict(OWNERSHIP),
        "target": "pay",
        "kind": "pay",
        "tier": tier,
        "title": "pay an invoice",
        "resource": {"type": "Invoice", "argument": "invoice"},
        "arguments": [
            {"name": "invoice", "type": "string", "required": True},
            {"name": "payee", "type": "string", "required": True},
            {"name": "amount", "type": "minor_units", "required": True},
            {"name": "note", "type": "string"},
        ],
    }
    return [*bench_documents(policies), document("Capability", "bank.pay", spec)]


async def paying_bench(
    *, limits: WalkLimits | None = None, documents: list[JSONValue] | None = None, tier: int = 2
) -> Bench:
    """A bench that pays under mandate `m-pay` of alice, and whose people can bring passkeys in."""
    bench = Bench(
        limits=limits or WalkLimits(approvals_pending_per_agent_max=300, asked_per_agent_per_hour_max=300)
    )
    walk = bench.walk
    bench.upstream = PayingUpstream(
        clock=bench.clock, ledger=walk.recorder.ledger, subject_keys=walk.recorder.subject_keys
    )
    walk.verification.upstream = bench.upstream
    walk.verification.pins = ApprovedAsSeen(walk.authority.registry, bench.upstream)
    walk.asking.passkeys = PasskeyState(register=fresh(SqlitePasskeyRegister), rp_id=RP_ID, origins=(ORIGIN,))
    await bench.registered(documents or paying_documents(tier=tier))
    await bench.issue("m-pay", calls_max=1_000, grants=(Grant(capability="bank.pay"),))
    return bench


async def pay(bench: Bench, number: int, payee: str = "Acme GmbH", **more: JSONValue) -> Approval:
    """What a payment waits for."""
    arguments: dict[str, JSONValue] = {
        "invoice": f"INV-{number:04d}",
        "payee": payee,
        "amount": 100 + number % 50,
        **more,
    }
    found = (await bench.act("pay", arguments, mandate="m-pay")).approval
    assert found is not None
    return found


async def asked_many(bench: Bench, count: int, **odd: str) -> list[Approval]:
    """So many payments wait; odd: by `n137`, who is paid instead."""
    return [await pay(bench, number, odd.get(f"n{number}", "Acme GmbH")) for number in range(count)]


def seen(approvals: Iterable[Approval]) -> dict[str, str]:
    return {one.id: one.card.hex for one in approvals}


async def answer_all(
    bench: Bench,
    approvals: Sequence[Approval],
    *,
    by: str = "bob",
    verdict: Verdict = "approve",
    device: SoftPasskey | None = None,
    comment: str = "",
) -> AnsweredMany:
    """A person answers them with one signature: of their device, else of their key file."""
    walk, words = bench.walk, words_of(verdict, comment=comment)
    opened = open_many(
        walk.recorder.ledger, walk.authority, walk.asking, walk.entropy, seen(approvals), verdict
    )
    ids = [one.approval for one in opened.batch.items]
    if device is not None:
        signed = batch_challenge(
            nonce=opened.nonce, root=opened.batch.root, size=opened.batch.size, verdict=verdict, words=words
        )
        return await answer_many_by_passkey(
            walk.recorder,
            walk.authority,
            walk.asking,
            walk.counters,
            ids,
            person=PrincipalId(by),
            verdict=verdict,
            words=words,
            nonce=opened.nonce,
            assertion=device.assertion(signed),
        )
    token = signed_batch(
        opened.batch, nonce=opened.nonce, by=PrincipalId(by), verdict=verdict, comment=comment,
        audience=AUDIENCE, at=bench.clock.now(), key=signing_key(by),
    )  # fmt: skip
    return await answer_many(walk.recorder, walk.authority, walk.asking, walk.counters, ids, token)
