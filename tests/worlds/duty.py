"""A bench whose approvers are on call: who is told of what waits, and who stands in for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.deputy_statement import DeputyStatement, DutyTerms
from answerable.core.canonical import parse
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.flows.escalation.appoint_deputy import appoint_deputy
from answerable.flows.escalation.route_approval import scan_waiting, tell_due
from answerable.sdk.signing import signed_duty
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.samples import AUDIENCE, document, signing_key

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue

DAY = 86_400_000
READS_WAIT = """
@id("read-ask") @reason("somebody looks first") @approve("approvers:1")
forbid (principal, action == Action::"crm.read", resource);
"""
STEPS: list[JSONValue] = [
    {"afterSeconds": 60, "when": "unseen", "ask": "second"},
    {"afterSeconds": 120, "ask": "group"},
]
ALWAYS: list[JSONValue] = [{"people": ["bob"]}, {"people": ["carol"], "line": "second"}]


def duty_document(group: str = "approvers", **spec: JSONValue) -> JSONValue:
    """The duty of the group: bob first, carol second, then everybody."""
    return document(
        "Duty",
        group,
        {
            "group": group,
            "timeZone": "Europe/Berlin",
            "shifts": ALWAYS,
            "escalation": STEPS,
            "deputies": ["sales"],
            **spec,
        },
    )


def with_people(documents: list[JSONValue], **groups: list[str]) -> list[JSONValue]:
    """The documents, with more people who have a key of their own."""
    more = [
        document("Principal", name, {"groups": [*of], "keys": [parse(signing_key(name).public.jwk.encode())]})
        for name, of in groups.items()
    ]
    return [*documents, *more]


async def duty_bench(*, policies: str = POLICIES, bench: Bench | None = None, **spec: JSONValue) -> Bench:
    """A bench with a duty and one mandate."""
    documents = with_people(bench_documents(policies), erin=["approvers", "ops"], frank=["ops"])
    bench = await (bench or Bench()).registered([*documents, duty_document(**spec)])
    await bench.issue()
    await tell(bench)
    return bench


async def waiting(bench: Bench, amount: int = 6000) -> Approval:
    """A refund that waits."""
    asked = (await bench.refund(amount)).approval
    assert asked is not None
    return asked


async def tell(bench: Bench, *, seconds: int = 0) -> list[tuple[int, tuple[str, ...] | None]]:
    """What is told when so many seconds have passed: steps with the people."""
    bench.clock.advance(seconds)
    channel = bench.channel
    before = len(channel.told)
    if bench.asking.duties.scanned is not bench.authority.registry.current:
        await scan_waiting(bench.authority, bench.asking.duties)
    while await tell_due(bench.recorder, bench.authority, bench.asking):
        pass
    return [(step, people) for _, people, step in channel.told[before:]]


def terms(bench: Bench, **changes: object) -> DutyTerms:
    """Bob lets dan stand in for a day."""
    now = bench.clock.now()
    said: dict[str, object] = {
        "of": "bob",
        "audience": AUDIENCE,
        "id": bench.walk.entropy.token(),
        "group": "approvers",
        "to": "dan",
        "since": now,
        "until": now + DAY,
        "reason": "at the dentist's",
        "at": now,
        **changes,
    }
    return DutyTerms(**said)


async def delegate(bench: Bench, *, signer: str = "", **changes: object) -> DeputyStatement:
    """Sign it by who is stood in for, or by another one, and hand it in."""
    wanted = terms(bench, **changes)
    return await appoint_deputy(
        bench.recorder,
        bench.authority,
        bench.asking,
        signed_duty(wanted, key=signing_key(signer or wanted.of)),
    )


def person(name: str) -> PrincipalId:
    """A name."""
    return PrincipalId(name)


def later(bench: Bench, millis: int) -> UnixMillis:
    """So many milliseconds from now."""
    return UnixMillis(bench.clock.now() + millis)
