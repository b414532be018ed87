"""Port: the broker as the gateway calls it, to end leases and to query their state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import IssuerTraits
    from answerable.core.lease.lease import Lease, Under
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.own_account import OwnAccount
    from answerable.core.lease.use import Right
    from answerable.core.lease.wire import LeaseList
    from answerable.ports.lease_register import LeaseChange


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLeases:
    """Result of ending leases. ended: leases that are gone. unrevoked: leases whose first attempt failed, with the
    reason. more: number of attempts still running when the answer was sent."""

    ended: tuple[Lease, ...]
    unrevoked: tuple[Lease, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTarget:
    """A target on which the broker acts. kind: as its settings name it. own: the broker's own secrets there."""

    name: str
    kind: str
    traits: IssuerTraits
    own: tuple[OwnAccount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSecret:
    """A standing secret of the broker that is due for rotation. why: in words. targets: the targets that use it."""

    name: str
    why: str
    targets: tuple[str, ...] = ()


class LeaseBroker(Protocol):
    """Promises: every call is idempotent. Raises only Unavailable (`broker.*`), with effect `unknown` where the broker
    may have carried out the request."""

    async def end(self, names: Sequence[Under], *, why: str, wait_seconds: float) -> EndedLeases:
        """End every open lease issued under one of these names (at most NAMES_MAX), and wait up to `wait_seconds` for
        the first attempts. The broker continues to end those that are not gone by then."""
        ...

    async def recall(self, log: str, named: Sequence[tuple[LeaseName, str]]) -> int:
        """End these leases at these targets, which the ledger of this log names, where the broker no longer knows them.
        Return how many those were."""
        ...

    async def changes(
        self, log: str, after: int | None, *, wait_seconds: float
    ) -> tuple[int, Sequence[LeaseChange]]:
        """Return the number of the last change of any lease, and the leases of this log that changed after change
        `after`; where there are none, wait up to `wait_seconds` for one. A number below `after` means that the broker's
        register was replaced. after: the caller has recorded all changes up to this one; None continues from the last
        acknowledged one."""
        ...

    async def leases(self, which: LeaseList, limit: int, *, after: str = "") -> Sequence[Lease]:
        """Return the open or unrevoked leases by name, starting after this name, or the leases that ended last."""
        ...

    async def targets(self) -> Sequence[BrokerTarget]:
        """Return the targets on which the broker acts."""
        ...

    async def strays(self) -> tuple[Sequence[tuple[str, str, bool]], dict[str, str]]:
        """Return what flows.leases.settle_leases.find_strays finds: target, name and whether the name was once a lease
        of this broker; and faults by target."""
        ...

    async def due_secrets(self) -> Sequence[DueSecret]:
        """Return the standing secrets due for rotation, by name, as the broker last saw them, without their values."""
        ...

    async def rights(self, target: str, grants: JSONValue) -> Sequence[Right]:
        """Return the rights that these grants give at this target, as ports.target_rights says; empty where that cannot
        be determined. Also raises Unavailable where the broker has no such target (`broker.failed`)."""
        ...

    async def narrowed(self, target: str, grants: JSONValue, kept: Sequence[str]) -> JSONValue:
        """Return these grants reduced to the rights at these places, as ports.target_rights says; None where nothing
        would be left. Raises as `rights`."""
        ...
