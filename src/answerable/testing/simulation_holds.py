"""Random holds in simulated runs: place and lift them, and check the laws of containment meanwhile.

Laws: no effect starts while a hold that covers it is in force, by an independent model that knows only the names of
this bench; every decision is a denial once a hold is added to its facts; a hold that is in force is on record in the
end, and a lifted one was on record first.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast
from unittest import mock

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec

from answerable.core.containment.hold import EVERYTHING, described, holdable
from answerable.core.decision.facts import HoldFact
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.flows.containment.lift_hold import lift_hold
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.revocation.place_hold import place_hold
from answerable.sdk.signing import signed_lift
from answerable.testing.registers import fresh_ends
from answerable.testing.samples import AUDIENCE, signing_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from answerable.adapters.sqlite import SqliteHoldRegister
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.containment.hold import HoldTarget
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.clock import Clock
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.registry_store import RegistryStore
    from answerable.testing.builders import Bench
    from answerable.testing.fault_injection import Trouble
    from answerable.testing.simulation_report import Report

SECONDS: Final = (0, 3, 3, 20)
"""How long a hold lasts; 0 for until it is lifted."""
CAPABILITIES: Final = {"get_case": "crm.read", "refund": "crm.refund"}
_TROUBLED: Final = frozenset({"place", "replace", "recorded", "unrecorded", "get"})
_ANY: Final = HoldFact(id="hold_" + "0" * 22, kind="everything", text="everything is held")


class RandomHolds:
    """Random holds. Holds survive the process, as their register does on disk. violations: one line each."""

    def __init__(self, chance: Random, clock: Clock, violations: list[str], report: Report) -> None:
        self.revocations, self._register = fresh_ends(clock)
        self._chance, self._clock, self._violations, self._report = chance, clock, violations, report
        self._asked: dict[int, frozenset[HoldTarget]] = {}
        self._returned: set[str] = set()

    def troubled(self, trouble: Trouble) -> Any:
        """Return the register with faults for one life of the process, which begins with its present contents."""
        self._returned = {one.id for one in self._register.all()}
        return _TroubledHolds(self._register, trouble)

    def doubt(self, registry: RegistryStore, state: PolicyState) -> None:
        """Wrap the decision points so that every decision is repeated with a hold on everything."""
        inner = state.compile_policies

        def compiled(policies: str, snapshot: RegistrySnapshot) -> DecisionPoint:
            doubting: Any = _Doubting(inner(policies, snapshot), self._violations)
            return cast("DecisionPoint", doubting)

        state.compile_policies = compiled
        state.decision_point = compiled(policy_text(registry.current), registry.current)

    # --- what people do ---

    async def place(self, bench: Bench, agents: Sequence[str], mandate: str) -> str:
        """Place a random hold; return a description."""
        what = self._chance.choice(
            (
                holdable("agent", self._chance.choice(agents)),
                holdable("mandate", mandate),
                holdable("tool", "crm/refund"),
                holdable("capability", "crm.read"),
                holdable("server", "crm"),
                EVERYTHING,
            )
        )
        seconds = self._chance.choice(SECONDS)
        by_rule = self._chance.random() < 0.5
        placed = await place_hold(
            bench.recorder,
            bench.authority,
            bench.live,
            bench.counters.cuts,
            what,
            by="rule:simulated" if by_rule else "uid:1000",
            source="rule" if by_rule else "person",
            rule="simulated" if by_rule else "",
            expires_at=self._clock.now() + seconds * 1000 if seconds else 0,
        )
        self._returned.add(placed.hold.id)
        self._report.held += placed.is_new
        self._report.cut += placed.cut
        lasting = f"{seconds} s" if seconds else "good"
        return (
            f"{described(what)} is held for {lasting}, {len(placed.in_flight)} in flight, {placed.cut} cut, "
            f"{len(placed.approvals)} approvals denied"
        )

    async def lift(self, bench: Bench, people: Sequence[str]) -> str:
        """Let a person sign the lifting of a random hold; mostly another person must sign, too. Returns a
        description."""
        now = self._clock.now()
        standing = [one for one in self._register.all() if one.is_in_force(now)]
        if not standing:
            return "nothing is held"
        hold, person = self._chance.choice(standing), self._chance.choice(people)
        token = signed_lift(
            hold,
            by=PrincipalId(person),
            reason="looked at it",
            audience=AUDIENCE,
            at=now,
            key=signing_key(person),
        )
        after = await lift_hold(
            bench.recorder, bench.authority, bench.asking.under_way, bench.counters, hold.id, token
        )
        self._report.lifted += bool(after.lifted_at)
        return f"{person} signed that {described(hold.what)} be lifted: {'it is' if after.lifted_at else 'not yet'}"

    # --- what must hold ---

    def asks(self, attempt: int, agent: str, mandate: str, target: str) -> None:
        """Note the names by which an attempt can be held."""
        self._asked[attempt] = frozenset(
            {
                holdable("agent", agent),
                holdable("mandate", mandate),
                holdable("tool", f"crm/{target}"),
                holdable("capability", CAPABILITIES[target]),
                holdable("server", "crm"),
                EVERYTHING,
            }
        )

    def starts(self, attempt: int, *, in_one_thread: bool) -> None:
        """Check the laws at the moment an attempt's effect is sent. If a separate thread writes the register, a hold
        counts only once its placement has returned."""
        now, reach = self._clock.now(), self._asked[attempt]
        for hold in self._register.all():
            told = in_one_thread or hold.id in self._returned
            if told and hold.what in reach and hold.is_in_force(now):
                self._violations.append(
                    f"attempt {attempt} took effect while {hold.what} was held ({hold.id})"
                )

    def judge(self, entries: Sequence[StoredEntry]) -> None:
        """Check the holds against the ledger of the last process."""
        placed, lifted = set[object](), set[object]()
        for stored in entries:
            if stored.tag == Tag.HOLD_PLACED:
                placed.add(leaf_of(stored).get("hold"))
            elif stored.tag == Tag.HOLD_LIFTED and leaf_of(stored).get("lifted_at"):
                lifted.add(leaf_of(stored).get("hold"))
        for hold in self._register.all():
            if hold.id not in placed:
                self._violations.append(f"{hold.id} on {hold.what} is not on record")
            if hold.lifted_at and hold.id not in lifted:
                self._violations.append(f"{hold.id} on {hold.what} was lifted without an entry")


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Run what would use a worker thread in this thread, one call after the other, so that a run is reproducible."""

    async def run_sync(func: Callable[..., Any], *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return func(*args)

    with mock.patch.object(anyio.to_thread, "run_sync", run_sync):
        yield


class _TroubledHolds:
    """Implements ports.hold_register.HoldRegister."""

    def __init__(self, register: SqliteHoldRegister, trouble: Trouble) -> None:
        self._register, self._trouble = register, trouble

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._register, name)
        if name not in _TROUBLED:
            return method
        return lambda *given, **named: self._trouble.call(f"holds.{name}", lambda: method(*given, **named))


class _Doubting:
    """Implements ports.decision_point.DecisionPoint."""

    def __init__(self, point: DecisionPoint, violations: list[str]) -> None:
        self._point, self._violations = point, violations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._point, name)

    def for_registry(self, snapshot: RegistrySnapshot) -> Any:
        found = self._point.for_registry(snapshot)
        return None if found is None else _Doubting(found, self._violations)

    def decide(self, verified: VerifiedRequest, facts: Facts) -> Decision:
        said = self._point.decide(verified, facts)
        held = self._point.decide(verified, msgspec.structs.replace(facts, hold=_ANY))
        if held.effect != "deny" or (facts.hold is not None and said.effect != "deny"):
            self._violations.append(f"{said.effect}, and {held.effect} with a hold added")
        return said
