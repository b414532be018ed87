"""`could` and `can` beside the gateway: over random registries, mandates, holds and requests they say the same.

The registers, the ledger and the policies are those of the product, on files. What the gateway decides of a request is
what the steps of its walk say, without the effect; one request of each world is walked to its end.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import structs

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteHoldRegister,
    SqliteMandateRegister,
    SqliteRegistryStore,
    SqliteRevocationRegister,
    SqliteStore,
)
from answerable.adapters.sqlite.manifests import SqliteManifestRegister
from answerable.adapters.sqlite.tool_pins import SqliteToolPinRegister
from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.core.containment.hold import HoldTarget, holdable
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.caveat import ArgumentAtMost, EnvironmentIs, ResourceIn
from answerable.core.mandate.mandate import Grant, MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Malformed, Refused
from answerable.flows.policy.explain_what_if import possible
from answerable.flows.recovery.moment_then import Then
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.flows.walk.decide_action import decide_action
from answerable.flows.walk.govern_action import gather_facts, govern_action
from answerable.flows.walk.moment import moment_now
from answerable.flows.walk.spend_budget import accounts_of, require_left, spend_on
from answerable.flows.walk.verify_request import verify_request
from answerable.testing.builders import Bench, bench_documents, ledger_key
from answerable.testing.clock import ManualClock
from answerable.testing.samples import AUDIENCE, signing_key
from tests.worlds.parts import to_apply, to_decide, to_govern, to_plan
from tests.worlds.tool import approve_offered, described, describing

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.flows.policy.explain_what_if import Told

READ, REFUND = "crm.read", "crm.refund"
SMALL = TlogFilesSettings(segment_bytes=1_048_576)
TARGETS = {READ: "get_case", REFUND: "refund"}
AGENTS = ("scout", "rover")
KEYS = {name: signing_key(name).public.thumbprint for name in ("alice", "bob", *AGENTS)}
RULES = (
    '@id("reads") permit (principal, action == Action::"crm.read", resource);',
    '@id("refunds") permit (principal, action == Action::"crm.refund", resource);',
    '@id("first") permit (principal, action, resource) when { context.task.calls_used == 0 };',
    '@id("no-reads") forbid (principal, action == Action::"crm.read", resource);',
    '@id("not-rover") forbid (principal == Agent::"rover", action, resource);',
    '@id("one-case") forbid (principal, action, resource == Case::"4712");',
    '@id("risky") forbid (principal, action, resource) when { context.capability.tier > 2 };',
    '@id("much") forbid (principal, action == Action::"crm.refund", resource) when { context.arguments.amount > 50 };',
    '@id("asked") @reason("people first") @approve("approvers:1") forbid (principal, action, resource);',
    '@id("handed") forbid (principal, action, resource) when { context.chain.depth > 0 };',
    '@id("little") forbid (principal, action, resource) when { context.budget.calls_left < 2 };',
)
IDS = tuple(rule.split('"')[1] for rule in RULES)
HELD = (
    *(holdable("agent", name) for name in AGENTS),
    holdable("capability", READ),
    holdable("tool", "crm/refund"),
    holdable("server", "crm"),
    holdable("owner", "alice"),
    holdable("mandate", "m-0"),
    holdable("key", KEYS["scout"]),
    holdable("key", KEYS["bob"]),
    holdable("environment", "production"),
    HoldTarget("everything", ""),
)
REVOKED = (
    *(RevocationTarget("agent", name) for name in AGENTS),
    RevocationTarget("mandate", "m-1"),
    RevocationTarget("owner", "bob"),
    RevocationTarget("key", KEYS["rover"]),
    RevocationTarget("key", KEYS["alice"]),
    RevocationTarget("hop", "h" * 43),
)
CEILINGS = st.sampled_from([[], [], [READ], [REFUND], [READ, REFUND]])
SPECS = st.fixed_dictionaries(
    {
        "rules": st.sets(st.sampled_from(RULES), min_size=1, max_size=6).map(sorted),
        "agents": st.lists(CEILINGS, min_size=2, max_size=2),
        "people": st.lists(CEILINGS, min_size=2, max_size=2),
        "status": st.sampled_from(["active", "active", "active", "suspended"]),
        "issuers": st.sampled_from([["approvers"], []]),
        "fixed": st.booleans(),
    }
)
CAVEATS = st.lists(
    st.sampled_from(
        [
            ResourceIn(ids=("4711",)),
            ResourceIn(ids=("4713",)),
            EnvironmentIs(environment="production"),
            EnvironmentIs(environment="staging"),
            ArgumentAtMost(name="amount", maximum=60),
        ]
    ),
    max_size=1,
).map(tuple)
MANDATES = st.lists(
    st.fixed_dictionaries(
        {
            "agent": st.sampled_from(AGENTS),
            "principal": st.sampled_from(["alice", "alice", "bob"]),
            "calls_max": st.integers(1, 3),
            "seconds": st.sampled_from([60, 3600]),
            "budgets": st.sampled_from([(), (), (("rows", 1),)]),
            "grants": st.lists(
                st.builds(Grant, capability=st.sampled_from([READ, REFUND]), caveats=CAVEATS),
                min_size=1,
                max_size=2,
            ).map(tuple),
        }
    ),
    min_size=1,
    max_size=3,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("close"), st.integers(0, 2)),
        st.tuples(st.just("act"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.sampled_from([1, 100])),
        st.tuples(st.just("hold"), st.sampled_from(HELD)),
        st.tuples(st.just("revoke"), st.sampled_from(REVOKED)),
        st.tuples(st.just("change_tool"), st.just("get_case")),
        st.tuples(st.just("apply"), SPECS),
    ),
    max_size=4,
)


def documents_of(spec: dict[str, Any]) -> list[JSONValue]:
    found = bench_documents("\n".join(spec["rules"]))
    for one in found:
        match one:
            case {"kind": "Agent", "metadata": {"name": str(name)}, "spec": dict(inner)}:
                inner["capabilities"] = spec["agents"][AGENTS.index(name)]
                inner["status"] = spec["status"] if name == "rover" else "active"
            case {"kind": "Principal", "metadata": {"name": "alice" | "bob" as name}, "spec": dict(inner)}:
                inner["capabilities"] = spec["people"][name == "bob"]
            case {"kind": "UseCase", "spec": dict(inner)}:
                inner["issuers"] = spec["issuers"]
            case {"kind": "Capability", "metadata": {"name": "crm.read"}, "spec": dict(inner)} if spec[
                "fixed"
            ]:
                inner["resource"] = {"type": "Case", "fixed": "4711"}
    return [one for one in found if not (isinstance(one, dict) and one["kind"] == "MandateTemplate")]


class World:
    """The product's registers and ledger in a folder, and a walk over them."""

    def __init__(self, folder: Path, ledger: TlogFilesLedger, clock: ManualClock) -> None:
        store = SqliteStore.open(folder / "registers.db")
        revocations = SqliteRevocationRegister(store, clock=clock)
        self.bench = Bench(
            clock=clock,
            ledger=ledger,
            registry=SqliteRegistryStore(store),
            mandates=SqliteMandateRegister(store),
            approvals=SqliteApprovalRegister(store),
            revocations=revocations,
            holds=SqliteHoldRegister(store, revocations),
            pins=SqliteToolPinRegister(store),
        )
        self.bench.authority.manifests = SqliteManifestRegister(store)
        self.upstream = describing(self.bench)
        self.issued: list[tuple[str, str]] = []

    async def begin(self, spec: dict[str, Any], mandates: list[dict[str, Any]]) -> None:
        await self.apply(spec)
        for tool in TARGETS.values():
            await approve_offered(self.bench.walk, "crm", tool)
        for number, terms in enumerate(mandates):
            with suppress(Refused, Malformed):
                name = f"m-{number}"
                await self.bench.issue(name, **terms)
                self.issued.append((name, terms["agent"]))

    async def step(self, what: str, which: Any) -> None:
        walk = self.bench.walk
        if what in ("close", "act"):
            if which >= len(self.issued):
                return
            name, agent = self.issued[which]
            if what == "close":
                await close_mandate(walk.recorder, walk.authority, walk.live, MandateId(name), by="operator")
            else:
                with suppress(Refused):
                    await govern_action(*to_govern(walk), *self.request(READ, name, agent, {"case": "4711"}))
        elif what == "wait":
            self.bench.clock.advance(which)
        elif what == "hold":
            await place_hold(walk.recorder, walk.authority, walk.live, walk.counters.cuts, which, by="dan")
        elif what == "revoke":
            await revoke_authority(
                walk.recorder, walk.authority, walk.live, which, by="dan", looks_back=False
            )
        elif what == "change_tool":
            self.upstream.says[which] = described(which, description="Another tool")
        else:
            await self.apply(which)

    async def apply(self, spec: dict[str, Any]) -> None:
        await apply_registry(*to_apply(self.bench.walk), documents_of(spec), by="operator", prune=True)

    def request(self, capability: str, mandate: str, agent: str, arguments: JSONValue) -> Any:
        action, caller = self.bench.request(TARGETS[capability], arguments, mandate=mandate, agent=agent)
        return action, structs.replace(caller, key=caller.binding)

    def decided(
        self, capability: str, mandate: str, agent: str, arguments: JSONValue
    ) -> tuple[str, tuple[str, ...]]:
        """What the walk says to a request, by its own steps up to the effect."""
        walk = self.bench.walk
        try:
            verified = verify_request(*to_plan(walk), *self.request(capability, mandate, agent, arguments))
            accounts = accounts_of(verified)
            verified, _, decision = decide_action(*to_decide(walk), verified, gather_facts)
            if decision.effect != "deny":
                require_left(
                    walk.authority.mandates,
                    accounts,
                    spend_on(walk.authority.registry, walk.limits, verified, accounts),
                )
        except Refused as no:
            return "deny", (no.code,)
        return decision.effect, decision.determined_by

    def then(self) -> Then:
        found = Then(at=UnixMillis(self.bench.clock.now()))
        for stored in self.bench.recorder.ledger.replay():
            if not found.take(stored, self.bench.recorder.subject_keys.find):
                break
        return found


def requests(capability: str) -> list[dict[str, JSONValue]]:
    if capability == READ:
        return [{"case": "4711"}, {"case": "4712"}]
    return [{"case": case, "amount": amount} for case in ("4711", "4712") for amount in (1, 55, 70)]


def held_against(world: World, told: Told, capability: str, resource: str) -> None:
    """What was told of one agent, against what the gateway decides of every request of it."""
    own = [name for name, agent in world.issued if agent == told.agent]
    for arguments in requests(capability):
        if resource and arguments["case"] != resource:
            continue
        found = {name: world.decided(capability, name, told.agent, arguments) for name in own}
        said = {name: effect for name, (effect, _) in found.items()}
        event(told.effect)
        if told.effect == "deny":
            assert set(said.values()) <= {"deny"}, (told, found, arguments)
            if len(own) == 1:
                (_, by) = found[own[0]]
                # What this request does not keep of the mandate is told first, and a forbid on it instead of nothing.
                about_it = by == ("mandate.caveat",) or (told.by[0] == "policy.default_deny" and by[0] in IDS)
                assert set(told.by) <= set(by) or about_it, (told, found, arguments)
        elif told.effect == "allow":
            assert all(said[name] == "allow" for name in told.mandates), (told, found, arguments)
            assert told.mandates
        else:
            assert told.conditions, told
            named = {name for way in (told, *told.also) for name in way.mandates}
            assert {name for name, effect in said.items() if effect != "deny"} <= named, (
                told,
                found,
                arguments,
            )


async def compared(
    spec: dict[str, Any], mandates: list[dict[str, Any]], steps: list[tuple[str, Any]], last: int
) -> None:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = TlogFilesLedger.open(
            folder / "ledger",
            key=ledger_key(),
            sign=signing_key("ledger").sign,
            clock=clock,
            settings=SMALL,
        )
        async with log:
            world = World(folder, log, clock)
            await world.begin(spec, mandates)
            for step in steps:
                await world.step(*step)
            walk = world.bench.walk
            for capability in TARGETS:
                now = await moment_now(*to_decide(walk), capability)
                then = world.then().moment(capability, origin=AUDIENCE)
                for resource in ("", "4711", "4712"):
                    earlier = possible(then, agents=(), resource=resource)
                    for told, was in zip(possible(now, agents=(), resource=resource), earlier, strict=True):
                        held_against(world, told, capability, resource)
                        # Two doors: of this very moment the ledger says the same, but for what it does not have.
                        if not told.by[0].startswith(("tool.", "agent.")):
                            assert (told.effect, told.by, told.mandates) == (was.effect, was.by, was.mandates)
            await walked(world, last)


async def walked(world: World, last: int) -> None:
    """One request goes the whole way, and ends as its steps said."""
    if not world.issued:
        return
    mandate, agent = world.issued[last % len(world.issued)]
    for capability in TARGETS:
        arguments = requests(capability)[0]
        expected, by = world.decided(capability, mandate, agent, arguments)
        try:
            asked = world.request(capability, mandate, agent, arguments)
            answer = await govern_action(*to_govern(world.bench.walk), *asked)
            found = "allow" if answer.approval is None else "defer"
        except Refused as no:
            found = "deny"
            event(no.code)
        assert found == expected, (found, by)


@pytest.mark.requirement("SAME-10")
@given(spec=SPECS, mandates=MANDATES, steps=STEPS, last=st.integers(0, 2))
def test_what_could_be_done_is_what_the_gateway_decides(spec, mandates, steps, last):
    asyncio.run(compared(spec, mandates, steps, last))
