"""What requests are verified with, and the plans made of a world, by epoch.

A plan is the result of verifying a caller, its mandate and its capability, without the arguments.

Laws: a plan is valid in its epoch, and in a later one if no change since has a scope in common with it. Nothing in a
plan depends on a clock, a counter or an argument; those are checked for each action.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import structs

from answerable.core.mandate.token_life import ActingLimits
from answerable.core.registry.manifests.tools_seen import ToolsSeen
from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
from answerable.core.registry.tools.tool_fit import ToolFits
from answerable.flows.state.delegations import Delegations

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.ports.prepared_register import PreparedRegister
    from answerable.ports.tool_pins import ToolPinRegister
    from answerable.ports.trust_source import TrustSource
    from answerable.ports.upstream import Upstream
    from answerable.ports.worlds import ChangeScope, Epoch, Epochs, Plan, Worlds

PLANS_MAX: Final = 10_000
CHECKED_EACH: Final = 1_024
"""Each time that so many plans were found in the cache, the last one is made anew and compared."""

PlanKey: TypeAlias = "tuple[str, bytes, str, str, str, AgentId, str, str, str, CallerIdentity]"
"""Named mandate, digest of the chain (empty for none), server, method, target; agent, key, certificate and process of
the caller, and its identity as proved."""

Changed: TypeAlias = "Callable[[Epoch], frozenset[ChangeScope] | None]"


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


@dataclass(slots=True, weakref_slot=True, kw_only=True)
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
    plans: Plans = field(default_factory=Plans)
