"""Port: what is in force in this process, as one value under one number.

Laws: whoever found something out under one epoch may rely on it while `epoch` gives the same number, and no longer; a
clock is no change: what begins or ends by its time is not told by the epoch.
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
"""Of one process: compare it with another one of the same process, and with nothing else."""

ChangeScope = NewType("ChangeScope", str)
"""What a change can hit, `kind/name` as in `agent/scout`, `mandate/m-1` or `tool/crm/get_case`; or ANYTHING."""

ANYTHING: Final = ChangeScope("*")

SCOPES_KEPT_MAX: Final = 10_000
"""Changes of which is known what they hit; what happened before them may have hit anything."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All authority in force in this process, under one epoch. Replaced whole, never changed.

    registry, capabilities, policies: belong together. trusted: trust domains that have a bundle. late: why no action is
    taken, as witnesses do not cosign. The functions look into the indexes of the registers, without copies and without
    I/O: what they answer holds for the epoch. `revoked` and `holds` raise Unavailable where that cannot be said.
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
    """Promises: `epoch` is another number after every change that the registers took, of whatever process, and after
    every `change` of this one; it is another one only when everything that this process reads from the registers is as
    new. It costs under a microsecond while nothing changed. What the registers took moves it in the very write that
    makes it durable: nobody has to say so.

    Once this process cannot say whether something changed, `epoch` raises Unavailable: it never answers with an old
    number. Safe for several threads. Raises only Unavailable (`register.*`).
    """

    def epoch(self) -> Epoch:
        """The number of now."""
        ...

    def changed(self, since: Epoch) -> frozenset[ChangeScope] | None:
        """What changes since that epoch may have hit, up to the one that `epoch` gave last; None for anything, also
        where that is not known any more."""
        ...

    def change(self, scopes: frozenset[ChangeScope]) -> None:
        """Make it another epoch for this process: said by who changed what no register keeps, after it holds and in the
        same turn of the event loop."""
        ...


class Worlds(Epochs, Protocol):
    """Promises as well: what is in force in this process alone, and can be compared, is compared at every `epoch`: the
    registry, the policies, what servers offer, trust bundles, and whether witnesses are late."""

    def current(self) -> World:
        """The world of now; the same object while the epoch is the same. Raises as `epoch`."""
        ...
