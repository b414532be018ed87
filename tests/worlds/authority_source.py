"""Every source of authority: how it is changed, by a flow of the product, and what the epoch then says.

A row is on real parts, registers in one file among them. What no register keeps is changed in memory, as the product
does it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any, Final

from answerable.adapters.sqlite import (
    SqliteAuthorityRegister,
    SqliteHoldRegister,
    SqliteInstanceRegister,
    SqliteMandateRegister,
    SqlitePasskeyRegister,
    SqliteRegistryStore,
    SqliteRevocationRegister,
)
from answerable.core.action.request import ActionRequest
from answerable.core.containment.hold import EVERYTHING, Hold, HoldId, holdable
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import agent_instance_id, trust_domain
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.workload.evidence import CallerIdentity, Evidence
from answerable.core.identity.workload.instance import Instance
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import Revocation, revocable
from answerable.core.registry.tools.tool_pin import ToolPin
from answerable.errors.codes.ledger import LEDGER_UNWITNESSED
from answerable.flows.escalation.appoint_deputy import end_duty
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.follow_registers import follow_registers
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.state.known_callers import instance_stands
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.contracts.manifest_register import sample_signed
from answerable.testing.registers import elsewhere
from answerable.testing.samples import signing_key
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from tests.worlds.duty import delegate, duty_document
from tests.worlds.instance import Authority
from tests.worlds.parts import to_apply, to_end, to_follow, to_hold, to_open
from tests.worlds.passkey import enrolled
from tests.worlds.trust import FOREIGN, TrustWorld

Change = Callable[["Sourced"], Awaitable[object]]
CLOSED: Final = '\n@id("closed") @reason("closed for today") forbid (principal, action, resource);'
CLOSED_SAID: Final = "closed for today"
COMING_SAID: Final = "another process applied documents that are not in force here yet"
ENDED_SAID: Final = "the instance was ended before the start"
OTHER_SAID: Final = "has changed since it was approved"
REVOKED_SAID: Final = "agent `scout` was revoked before the start"
WAITS_SAID: Final = "refunds above 5000 wait for an approver"
DOMAIN: Final = trust_domain("answerable.test")
LIMITS: Final = replace(WalkLimits(), refusals_recorded_max=3)


@dataclass
class Sourced:
    """A bench with one action to be asked for, and what a row keeps beside it."""

    bench: Bench
    amount: int = 0
    kept: Any = None
    identity: CallerIdentity | None = None

    @property
    def walk(self) -> Any:
        """Of the bench."""
        return self.bench.walk

    def asked(self) -> tuple[ActionRequest, VerifiedCaller]:
        """The action, and the proof of its caller."""
        if self.amount:
            request, caller = self.bench.request("refund", {"case": "4711", "amount": self.amount})
        else:
            request, caller = self.bench.request("get_case", {"case": "4711"})
        if self.identity is not None:
            caller = VerifiedCaller(
                agent=caller.agent, proof=caller.proof, binding=caller.binding, sequence=caller.sequence,
                message_digest=caller.message_digest, at=caller.at, identity=self.identity,
            )  # fmt: skip
        return request, caller


@dataclass(frozen=True)
class Source:
    """fields: of the world that it is in. scope: what the epoch says that the change may hit; `*` for anything. says:
    in the outcome of an action that it stops; empty where it takes nothing from anybody. before: what it needs."""

    name: str
    fields: tuple[str, ...]
    change: Change
    scope: str
    says: str
    before: Change | None = None


def documents(policies: str = POLICIES, **spec: Any) -> list[Any]:
    """The registry of a bench. spec: of agent scout, instead of what it is."""
    found: list[Any] = bench_documents(policies)
    for one in found:
        if (one["kind"], one["metadata"]["name"]) == ("Agent", "scout"):
            one["spec"] |= spec
    return found


def without_reading() -> list[Any]:
    """The registry of a bench without capability `crm.read`, and without what names it."""
    policies = "\n".join(line for line in POLICIES.splitlines() if "crm.read" not in line)
    left = [one for one in documents(policies) if one["kind"] != "MandateTemplate"]
    return [one for one in left if (one["kind"], one["metadata"]["name"]) != ("Capability", "crm.read")]


async def apply(of: Sourced, found: list[Any]) -> None:
    """One person does, and what is not named goes."""
    await apply_registry(*to_apply(of.walk), found, by="operator", prune=True)


async def apply_elsewhere(of: Sourced, found: list[Any] | None = None) -> None:
    """Another process applies documents, which are not in force in this one yet."""
    other = Bench(registry=SqliteRegistryStore(elsewhere(of.bench.store)))
    await apply_registry(*to_apply(other.walk), found or documents(status="suspended"), by="operator")


async def apply_and_follow(of: Sourced) -> None:
    """What another process applied comes into force here."""
    await apply_elsewhere(of, documents(POLICIES + CLOSED))
    follow_registers(*to_follow(of.walk), of.bench.store.refresh)


async def redefine(of: Sourced) -> None:
    """The server describes its tool otherwise."""
    of.bench.upstream.hints["get_case"] = {"readOnlyHint": True, "title": "Look up a case"}
    of.bench.upstream.generation += 1


async def repin(of: Sourced) -> None:
    """Another definition is let through."""
    now = of.walk.verification.pins.current("crm", "get_case")
    text = now.text.replace(b"get_case", b"got_case")
    pin = ToolPin(
        server="crm", tool="get_case", definition=sha256(text).hexdigest(), text=text,
        at=UnixMillis(now.at + 1),
    )  # fmt: skip
    of.walk.verification.pins.put(pin, over=now.definition)


async def revoke_manifest(of: Sourced) -> None:
    """Before anybody has it, and of nobody then."""
    signed = sample_signed()
    of.walk.authority.revocations.add(
        Revocation(what=revocable("manifest", signed.digest), at=UnixMillis(0), by="uid:0")
    )


async def put_manifest(of: Sourced) -> None:
    """It comes into force; that it stands in the registry others see to."""
    of.walk.authority.manifests.put(sample_signed())


async def close_elsewhere(of: Sourced) -> None:
    """Another process closes the mandate."""
    SqliteMandateRegister(elsewhere(of.bench.store)).close(MandateId("m-1"))


async def revoke_elsewhere(of: Sourced, kind: str = "agent", name: str = "scout") -> None:
    """Another process revokes the agent, or something else."""
    register = SqliteRevocationRegister(elsewhere(of.bench.store), clock=of.bench.clock)
    register.add(Revocation(what=revocable(kind, name), at=UnixMillis(0), by="uid:0"))


async def hold_elsewhere(of: Sourced) -> None:
    """Another process holds everything."""
    store = elsewhere(of.bench.store)
    SqliteHoldRegister(store, SqliteRevocationRegister(store, clock=of.bench.clock)).place(
        hold_of(EVERYTHING)
    )


def hold_of(what: Any) -> Hold:
    """Without an end."""
    return Hold(id=HoldId(f"hold_{1:022d}"), what=what, at=UnixMillis(0), by="uid:0", reason="", expires_at=0)


async def lift(of: Sourced) -> None:
    """What was held is no more."""
    assert of.walk.authority.holds.replace(replace(of.kept, lifted_at=of.bench.clock.now()), was=of.kept)


async def hold_another(of: Sourced) -> None:
    """Somebody whom the action does not come by."""
    of.kept = (await place_hold(*to_hold(of.walk), holdable("agent", "rover"), by="uid:0")).hold


async def trip(of: Sourced) -> None:
    """A stop rule holds the agent, and the register does not know yet."""
    assert of.walk.authority.tripped.trip(hold_of(holdable("agent", "scout")))


async def flood(of: Sourced) -> None:
    """The agent uses up its quota of refusals, under several mandates."""
    for number in range(LIMITS.refusals_recorded_max):
        of.walk.counters.quota.take(AgentId("scout"), of.bench.clock.now(), f"m-{number}")


async def enrol(of: Sourced) -> None:
    """The action comes by an instance."""
    instances, now = SqliteInstanceRegister(of.bench.store), of.bench.clock.now()
    of.kept = Instance(
        id=agent_instance_id(DOMAIN, AgentId("scout"), "1" * 32), agent=AgentId("scout"),
        evidence=Evidence(source="unix", grade="kernel", selectors=("unix:uid:1001",)), enrolled_at=now,
        expires_at=UnixMillis(now + 3_600_000),
    )  # fmt: skip
    instances.add(of.kept)
    of.walk.verification.stands = partial(instance_stands, instances, None)
    of.identity = CallerIdentity(instance=str(of.kept.id), source="unix", grade="kernel")


async def end_elsewhere(of: Sourced) -> None:
    """Another process ends the instance."""
    assert SqliteInstanceRegister(elsewhere(of.bench.store)).end(of.kept.id, because="asked")


async def renew_elsewhere(of: Sourced) -> None:
    """Another process lets the instance live on."""
    longer = replace(of.kept, expires_at=UnixMillis(of.kept.expires_at + 1_000))
    assert SqliteInstanceRegister(elsewhere(of.bench.store)).put(longer)


async def federate(of: Sourced) -> None:
    """The action comes by a workload of another trust domain, whose bundle is believed."""
    clock = of.bench.clock
    desk = TrustWorld(register=SqliteAuthorityRegister(of.bench.store), clock=clock).desk()
    theirs = Authority(FOREIGN, clock.now())
    desk.set_federated(theirs.bundle())
    of.kept = of.walk.verification.trust = desk
    of.walk.verification.stands = partial(instance_stands, SqliteInstanceRegister(of.bench.store), desk)
    of.identity = CallerIdentity(instance=f"spiffe://{FOREIGN}/x", source="spiffe", grade="gateway")


async def drop_elsewhere(of: Sourced) -> None:
    """Another process dropped the bundle, and this one has it in mind yet."""
    await federate(of)
    assert SqliteAuthorityRegister(elsewhere(of.bench.store)).drop_federated(FOREIGN)
    of.walk.verification.worlds.epoch()


async def take_over(of: Sourced) -> None:
    """It is believed no more."""
    of.kept.refresh()


async def watch(of: Sourced) -> None:
    """There are witnesses, who are in time."""
    of.kept = []
    of.walk.recorder.unwitnessed = lambda: next(iter(of.kept), None)


async def be_late(of: Sourced) -> None:
    """They are not any more."""
    of.kept.append(LEDGER_UNWITNESSED("no quorum of witnesses has cosigned the ledger"))


async def approve(of: Sourced) -> None:
    """A refund that waited for one approver has its yes."""
    of.amount = 6_000
    waiting = (await of.bench.refund(of.amount)).approval
    assert waiting is not None
    await of.bench.answer(waiting)


async def approve_as_deputy(of: Sourced) -> None:
    """Dan says yes in the place of bob."""
    await apply(of, [*documents(), duty_document()])
    of.kept = await delegate(of.bench)
    of.amount = 6_000
    waiting = (await of.bench.refund(of.amount)).approval
    assert waiting is not None
    assert (await of.bench.answer(waiting, by="dan")).state == "approved"


async def approve_by_passkey(of: Sourced) -> None:
    """Bob says yes with his device."""
    from tests.worlds.pace import tapped  # that world imports half of the product

    of.walk.asking.passkeys = PasskeyState(
        register=SqlitePasskeyRegister(of.bench.store), rp_id=RP_ID, origins=(ORIGIN,)
    )
    device = SoftPasskey(seed="bob")
    of.kept = await enrolled(of.bench, "bob", device)
    of.amount = 6_000
    waiting = (await of.bench.refund(of.amount)).approval
    assert waiting is not None
    from answerable.flows.approval.open_approval import open_to_answer

    nonce, shown, _ = open_to_answer(*to_open(of.walk), waiting.id, to="bob")
    assert (await tapped(of.bench, shown, device, nonce)).state == "approved"


SOURCES: Final = (
    Source(
        "a capability goes", ("registry",), lambda of: apply(of, without_reading()), "*",
        "`get_case` on server `crm` has no active capability",
    ),
    Source(
        "an agent may do less", ("registry",), lambda of: apply(of, documents(capabilities=["crm.refund"])), "*",
        "agent `scout` is not registered for",
    ),
    Source(
        "an agent is suspended", ("registry",), lambda of: apply(of, documents(status="suspended")), "*",
        "the agent was stopped before the start",
    ),
    Source(
        "policies forbid", ("decision_point",), lambda of: apply(of, documents(POLICIES + CLOSED)), "*", CLOSED_SAID
    ),
    Source("another process applies documents", ("registry", "decision_point"), apply_elsewhere, "*", COMING_SAID),
    Source(
        "what another process applied comes into force", ("registry", "decision_point"), apply_and_follow, "*",
        CLOSED_SAID,
    ),
    Source("a server describes its tool otherwise", ("upstream",), redefine, "*", OTHER_SAID),
    Source("another definition is let through", ("pins",), repin, "tool/crm/get_case", OTHER_SAID),
    Source("a manifest comes into force", ("manifests",), put_manifest, "agent/scout", "was revoked", revoke_manifest),
    Source(
        "a mandate is closed", ("mandates",), lambda of: close_mandate(*to_end(of.walk), "m-1", by="operator"),
        "mandate/m-1", "the mandate was closed before the start",
    ),
    Source(
        "another process closes a mandate", ("mandates",), close_elsewhere, "mandate/m-1",
        "the mandate was closed before the start",
    ),
    Source(
        "an agent is revoked", ("revocations",),
        lambda of: revoke_authority(*to_end(of.walk), revocable("agent", "scout"), by="operator", reason="x"),
        "agent/scout", REVOKED_SAID,
    ),
    Source(
        "another process revokes", ("revocations",), revoke_elsewhere, "agent/scout", REVOKED_SAID
    ),
    Source(
        "who approved is revoked", ("revocations",),
        lambda of: revoke_authority(*to_end(of.walk), revocable("owner", "bob"), by="operator", reason="x"),
        "*", WAITS_SAID, approve,
    ),
    Source(
        "the key of who approved is revoked", ("revocations",),
        partial(revoke_elsewhere, kind="key", name=signing_key("bob").public.thumbprint), "key/", WAITS_SAID, approve,
    ),
    Source(
        "an agent is held", ("holds",),
        lambda of: place_hold(*to_hold(of.walk), holdable("agent", "scout"), by="uid:0"),
        "agent/scout", "agent `scout` was held before the start",
    ),
    Source("another process holds everything", ("holds",), hold_elsewhere, "everything/", "was held before the start"),
    Source("a hold is lifted", ("holds",), lift, "agent/rover", "", hold_another),
    Source("a stop rule trips", ("holds",), trip, "agent/scout", "agent `scout` was held before the start"),
    Source("a quota is used up", ("quota",), flood, "agent/scout", "agent `scout` is held"),
    Source(
        "another process ends an instance", ("stands",), end_elsewhere, "instance/", ENDED_SAID,
        enrol,
    ),
    Source("another process renews an instance", ("stands",), renew_elsewhere, "instance/", "", enrol),
    Source("a trust bundle goes", ("trusted", "stands"), take_over, "*", ENDED_SAID, drop_elsewhere),
    Source("witnesses are late", ("late",), be_late, "*", "no quorum of witnesses has cosigned the ledger", watch),
    Source(
        "a deputy's duty ends", ("registry",),
        lambda of: end_duty(of.walk.recorder, of.walk.asking.duties, of.kept.id, by="bob"), "*",
        WAITS_SAID, approve_as_deputy,
    ),
    Source(
        "an approver's passkey goes", ("registry",),
        lambda of: remove_passkey(of.walk.recorder, of.walk.asking.passkeys, of.kept.name, by="operator"), "*",
        WAITS_SAID, approve_by_passkey,
    ),
)  # fmt: skip
"""Each with one change."""


async def sourced(source: Source) -> Sourced:
    """A bench at which the action of this row was done once already, so that nothing but it is written."""
    of = Sourced(await Bench(limits=LIMITS).registered(documents()))
    await of.bench.issue()
    await of.bench.act()
    await of.bench.refund(10)
    if source.before is not None:
        await source.before(of)
    return of
