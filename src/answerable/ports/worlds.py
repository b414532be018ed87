"""Port: a snapshot of everything in force in this process, with an epoch number that changes whenever the snapshot
does.

Laws: a fact found under one epoch is valid while `epoch` returns the same number, and beyond it only if no change since
then has a scope that the fact depends on; the passage of time does not change the epoch: whatever begins or ends at a
set time must be checked against the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NewType, Protocol

import msgspec

from answerable.core.ledger.records_actions import IntentForms

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.containment.reach import Judged
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.budget import Account
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.manifests.tools_seen import ToolsSeen
    from answerable.core.registry.snapshot.resolve import CapabilityIndex, Resolved
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.core.registry.tools.tool_fit import ToolFits
    from answerable.errors import Refused
    from answerable.ports.decision_point import DecisionPoint
    from answerable.ports.parts_in_force import (
        CurrentPins,
        Held,
        KnownMandates,
        OfferedTools,
        Quotas,
        ReadManifests,
        Revoked,
    )

Epoch = NewType("Epoch", int)
"""Comparable only with another epoch of the same process."""

ChangeScope = NewType("ChangeScope", str)
"""What a change may affect, `kind/name` as in `agent/scout`, `mandate/m-1` or `tool/crm/get_case`; or ANYTHING."""

ANYTHING: Final = ChangeScope("*")

SCOPES_KEPT_MAX: Final = 10_000
"""Number of changes whose scopes are stored; earlier changes may have affected anything."""


class RegistryInForce(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A registry and the index of its capabilities."""

    current: RegistrySnapshot
    index: CapabilityIndex


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All authority in force in this process, under one epoch. Replaced whole, never changed.

    trusted: trust domains that have a bundle. late: why no action is accepted when witnesses do not cosign in time,
    else None. The other parts are the registers themselves, to be read without copies and without I/O; what they answer
    is valid for the epoch.

    fits, tools_seen: cached results about parts of the world, each checked against these parts.
    """

    epoch: Epoch
    registry: RegistryInForce
    decision_point: DecisionPoint
    upstream: OfferedTools
    pins: CurrentPins
    manifests: ReadManifests
    mandates: KnownMandates
    revocations: Revoked
    holds: Held
    quota: Quotas
    stands: Callable[[CallerIdentity, UnixMillis], bool]
    trusted: frozenset[str]
    late: Refused | None
    fits: ToolFits
    tools_seen: ToolsSeen


class Plan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an action is verified against: found in one world, for a caller, a task and a capability.

    `identity`: of the caller, with what was observed of its tools. `capability`: as registered; `resolved` has it at
    the tier that its server's hints raise it to. `judged`: names the action acts under. `accounts`: where it is
    counted. `prepares`: whether another capability executes what this one prepares. `subject`: the mandate's principal
    as a data subject, for actions about no other. `by_clock`: whether a hold on the tool's approver is recorded, so
    that the tool may be blocked from one moment to the next. `scopes`: of every change that may make it another plan.
    `forms`: made of the plan, for the intents under it. The other fields are as in `VerifiedRequest`.
    """

    epoch: Epoch
    identity: CallerIdentity
    capability: Capability
    resolved: Resolved
    delegation_lineage: DelegationLineage
    definition: ToolDefinition
    principals: tuple[PrincipalId, ...]
    session: tuple[Authority, ...]
    judged: Judged
    accounts: tuple[Account, ...]
    prepares: bool
    subject: str
    by_clock: bool
    scopes: frozenset[ChangeScope]
    forms: IntentForms = msgspec.field(default_factory=IntentForms)

    def outlives(self, changed: frozenset[ChangeScope] | None) -> bool:
        """Whether it is the same plan after changes of these scopes; None stands for any."""
        return changed is not None and changed.isdisjoint(self.scopes)


class Epochs(Protocol):
    """Promises: `epoch` changes after every change written to the registers by any process, and after every `change` of
    this process; it changes only once everything that this process reads from the registers is up to date. It costs
    under a microsecond while nothing changed. A register's write moves the epoch in the same transaction that makes it
    durable: no caller has to announce it.

    Once this process cannot determine whether something changed, `epoch` raises Unavailable: it never returns an
    outdated number. Thread-safe. Raises only Unavailable (`register.*`).
    """

    def epoch(self) -> Epoch:
        """Return the current epoch."""
        ...

    def reread(self) -> Epoch:
        """As `epoch`, but read the registers first, however recently that was done."""
        ...

    def changed(self, since: Epoch) -> frozenset[ChangeScope] | None:
        """Return what the changes since that epoch may have affected, up to the epoch that `epoch` returned last; None
        for anything, also where the scopes are no longer stored."""
        ...

    def change(self, scopes: frozenset[ChangeScope]) -> None:
        """Start another epoch in this process. The code that changed something outside the registers calls this after
        the change is in force and in the same turn of the event loop."""
        ...


class Worlds(Epochs, Protocol):
    """Promises, in addition to those of Epochs: every `epoch` call compares what is in force only in this process and
    can be compared: the registry, the policies, what servers offer, trust bundles, and whether witnesses are late."""

    def current(self) -> World:
        """Return the current World; the same object while the epoch is unchanged. Raises as `epoch`."""
        ...

    def anew(self) -> World:
        """As `current`, but made of the parts again, even if the epoch is unchanged."""
        ...
