"""Port: a snapshot of everything in force in this process, with an epoch number that changes whenever the snapshot
does.

Laws: a fact found under one epoch is valid while `epoch` returns the same number, and no longer; the passage of time
does not change the epoch: whatever begins or ends at a set time must be checked against the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, NewType, Protocol

import msgspec

if TYPE_CHECKING:
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.containment.hold import Hold, HoldTarget
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.identity.workload.evidence import CallerIdentity
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState
    from answerable.core.mandate.revocation import Revocation, RevocationTarget
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.manifests.manifest_token import SignedManifest
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.core.registry.tools.tool_pin import ToolPin
    from answerable.errors import Refused
    from answerable.ports.decision_point import DecisionPoint

Epoch = NewType("Epoch", int)
"""Comparable only with another epoch of the same process."""

ChangeScope = NewType("ChangeScope", str)
"""What a change may affect, `kind/name` as in `agent/scout`, `mandate/m-1` or `tool/crm/get_case`; or ANYTHING."""

ANYTHING: Final = ChangeScope("*")

SCOPES_KEPT_MAX: Final = 10_000
"""Number of changes whose scopes are stored; earlier changes may have affected anything."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All authority in force in this process, under one epoch. Replaced whole, never changed.

    registry, capabilities, policies: belong together. trusted: trust domains that have a bundle. late: why no action is
    accepted when witnesses do not cosign in time, else None. The functions read the indexes of the registers, without
    copies and without I/O; their answers are valid for the epoch. `revoked` and `holds` raise Unavailable where the
    state is uncertain.
    """

    epoch: Epoch
    registry: RegistrySnapshot
    capabilities: CapabilityIndex
    policies: DecisionPoint
    trusted: frozenset[str]
    late: Refused | None
    definition: Callable[[Capability], ToolDefinition | None]
    pin: Callable[[str, str], ToolPin | None]
    manifest: Callable[[AgentId], SignedManifest | None]
    mandate: Callable[[MandateId], Mandate | None]
    mandate_state: Callable[[MandateId], MandateState]
    stands: Callable[[CallerIdentity, UnixMillis], bool]
    flooding: Callable[[AgentId, UnixMillis, str], bool]
    revoked: Callable[[Collection[RevocationTarget]], Revocation | None]
    holds: Callable[[Collection[HoldTarget]], tuple[Hold, ...]]


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
