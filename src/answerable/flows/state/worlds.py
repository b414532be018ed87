"""Cache the world (all authority in force in this process) and the plans made in it, by epoch.

A plan is the result of verifying a caller, its mandate and its capability, without the arguments.

Laws: the epoch is read before the parts, so that a change meanwhile belongs to another epoch. Parts with an identity or
a number of their own are compared at every read, so that nobody has to report their change. A plan is valid in its
epoch, and in a later one if no change since has a scope in common with it. Nothing in a plan depends on a clock, a
counter or an argument; those are checked for each action.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from weakref import ref

import msgspec
from msgspec import structs

from answerable.core.mandate.token_life import ActingLimits
from answerable.core.registry.manifests.tools_seen import ToolsSeen
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.core.registry.tools.tool_fit import ToolFits
from answerable.flows.state.delegations import Delegations
from answerable.ports.worlds import ANYTHING, ChangeScope, RegistryInForce, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.containment.hold import HoldTarget
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.prepared_register import PreparedRegister
    from answerable.ports.tool_pins import ToolPinRegister
    from answerable.ports.trust_source import TrustSource
    from answerable.ports.upstream import Upstream
    from answerable.ports.worlds import Epoch, Epochs, Plan, Worlds

PLANS_MAX: Final = 10_000
CHECKED_EACH: Final = 1_024
"""Each time that so many plans were found in the cache, the last one is made anew and compared."""

PlanKey: TypeAlias = "tuple[str, bytes, str, str, str, AgentId, str, str, str, CallerIdentity]"
"""Named mandate, digest of the chain (empty for none), server, method, target; agent, key, certificate and process of
the caller, and its identity as proved."""

Changed: TypeAlias = "Callable[[Epoch], frozenset[ChangeScope] | None]"
_ANYTHING: Final = frozenset({ANYTHING})


class Parts(Protocol):
    """The parts of a process that authority comes from; a world is taken from them."""

    recorder: Recorder
    authority: AuthorityRegisters
    counters: Counters
    verification: Verification
    policies: PolicyState


class KnownWorlds:
    """Implements ports.worlds.Worlds over the epochs of the registers and the parts of one process."""

    def __init__(self, epochs: Epochs, parts: Parts) -> None:
        self._epochs = epochs
        # A weak reference avoids a cycle: files are closed as soon as the parts are dropped, not at some later time.
        self._ref = ref(parts)
        self._registry: RegistrySnapshot | None = None
        self._policies: DecisionPoint | None = None
        self._generation = -1
        self._bundles: Mapping[TrustDomain, TrustBundle] | None = None
        self._late = False
        self._world: World | None = None
        self.changed: Final = epochs.changed
        self.change: Final = epochs.change

    def epoch(self) -> Epoch:
        parts = self._ref()
        assert parts is not None  # noqa: S101 - whoever asks has the walk
        trust = parts.verification.trust
        if (
            parts.authority.registry.current is not self._registry
            or parts.policies.decision_point is not self._policies
            or parts.verification.upstream.generation != self._generation
            or (parts.recorder.unwitnessed() is not None) is not self._late
            or (trust is not None and trust.bundles() is not self._bundles)
        ):
            self._compare(parts)
        return self._epochs.epoch()

    def reread(self) -> Epoch:
        self.epoch()
        return self._epochs.reread()

    def current(self) -> World:
        epoch = self.epoch()
        if self._world is None or self._world.epoch != epoch:
            self._world = self._made(epoch)
        return self._world

    def anew(self) -> World:
        self._world = self._made(self.epoch())
        return self._world

    def change_of(self, what: HoldTarget) -> None:
        """Report a change that no register records, for everything within reach of this name."""
        self.change(frozenset({ChangeScope(f"{what.kind}/{what.name}")}))

    def _compare(self, parts: Parts) -> None:
        """Note the current parts before reporting the change: a later change is then another one."""
        verification = parts.verification
        self._registry, self._policies = parts.authority.registry.current, parts.policies.decision_point
        self._generation = verification.upstream.generation
        self._late = parts.recorder.unwitnessed() is not None
        self._bundles = verification.trust.bundles() if verification.trust is not None else None
        self.change(_ANYTHING)

    def _made(self, epoch: Epoch) -> World:
        parts = self._ref()
        assert parts is not None  # noqa: S101 - as above
        authority, verification, trust = parts.authority, parts.verification, parts.verification.trust
        return World(
            epoch=epoch,
            registry=RegistryInForce(current=authority.registry.current, index=authority.registry.index),
            decision_point=parts.policies.decision_point,
            upstream=verification.upstream,
            pins=verification.pins,
            manifests=authority.manifests,
            mandates=authority.mandates,
            revocations=authority.revocations,
            holds=authority.holds,
            quota=parts.counters.quota,
            stands=verification.stands,
            trusted=frozenset(map(str, trust.bundles())) if trust is not None else frozenset(),
            late=parts.recorder.unwitnessed(),
            fits=verification.fits,
            tools_seen=verification.tools_seen,
        )


class PlanDifference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A cached plan that differed from one made anew. count: how many did so far. what: fields of the plan that differ,
    or the code of the refusal. at: when it was found."""

    count: int
    what: str
    at: UnixMillis


class Plans:
    """Cached plans, each found in some epoch. When full, the cache is cleared. For one walk and one event loop; not
    thread-safe.

    difference: the last plan that differed from one made anew; None while none did.
    """

    def __init__(self, most: int = PLANS_MAX, *, checked_each: int = CHECKED_EACH) -> None:
        """`most`: most plans cached; 0 for none. `checked_each`: how many plans are found for each that is checked."""
        self._most, self._checked_each = most, checked_each
        self._found = 0
        self._epoch: Epoch | None = None
        self._kept: dict[PlanKey, Plan] = {}
        self.difference: PlanDifference | None = None

    def find(self, key: PlanKey, epoch: Epoch, changed: Changed) -> Plan | None:
        """Return the cached plan if it is valid in this epoch, the current one; else None. `changed`: scopes of the
        changes since an epoch."""
        if epoch != self._epoch:
            # Drop what holds documents that are not in force any more.
            if self._epoch is not None and changed(self._epoch) is None:
                self._kept = {}
            self._epoch = epoch
        plan = self._kept.get(key)
        if plan is None or plan.epoch == epoch:
            return plan
        if not plan.outlives(changed(plan.epoch)):
            del self._kept[key]
            return None
        plan = self._kept[key] = structs.replace(plan, epoch=epoch)
        return plan

    def keep(self, key: PlanKey, plan: Plan) -> None:
        """Cache a plan."""
        if len(self._kept) >= self._most:
            self._kept = {}
        if self._most:
            self._kept[key] = plan

    def is_check_due(self) -> bool:
        """Count one more action under a cached plan, and return whether this plan is to be made anew and compared."""
        self._found += 1
        return self._found % self._checked_each == 0

    def drop(self, what: str, at: UnixMillis) -> None:
        """Drop all plans, because one differed from one made anew."""
        before = self.difference.count if self.difference is not None else 0
        self.difference = PlanDifference(count=before + 1, what=what, at=at)
        self._kept = {}


@dataclass(slots=True, kw_only=True)
class Verification:
    """What callers, tasks and tools are verified with.

    `epochs`: of the registers. `worlds`: all authority in force in this process under one epoch, compared right before
    the effect. `plans`: cached results of verification for callers, tasks and capabilities.
    `pins`: definitions of tools that are let through. `fits`: how capabilities fit them; `tools_seen`: measurements of
    them; both cached. `prepared`: objects waiting to be executed; None if not stored, and then no prepared object is
    executed. `sightings`: unregistered assets seen since the last write.
    `stands`: whether the instance behind a caller may act at a time; checked again right before the effect. `trust`:
    the bundles that it depends on; None without a trust domain.
    `acting`: how long tokens may be used for actions. `delegations`: chains of hops that callers present.
    """

    upstream: Upstream
    pins: ToolPinRegister
    epochs: Epochs
    prepared: PreparedRegister | None = None
    stands: Callable[[CallerIdentity, UnixMillis], bool] = lambda _identity, _now: True
    trust: TrustSource | None = None
    acting: ActingLimits = field(default_factory=ActingLimits)
    delegations: Delegations = field(default_factory=Delegations)
    sightings: DiscoveredAssets = field(default_factory=DiscoveredAssets)
    fits: ToolFits = field(default_factory=ToolFits)
    tools_seen: ToolsSeen = field(default_factory=ToolsSeen)
    worlds: Worlds = field(init=False)
    plans: Plans = field(init=False)
