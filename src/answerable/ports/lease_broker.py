"""Port: the broker as the gateway asks it: to end leases, and to tell how they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import IssuerTraits
    from answerable.core.lease.lease import Lease, Under
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.use import Right
    from answerable.core.lease.wire import LeaseList
    from answerable.ports.lease_register import LeaseChange


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLeases:
    """What came of ending some. ended: those that are gone. unrevoked: those whose first attempt failed, with why.
    more: how many attempts were not over when the answer went."""

    ended: tuple[Lease, ...]
    unrevoked: tuple[Lease, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTarget:
    """A target that the broker acts on. kind: as its settings name it."""

    name: str
    kind: str
    traits: IssuerTraits


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSecret:
    """A standing secret of the broker that is to be replaced. why: in words. targets: those that use it."""

    name: str
    why: str
    targets: tuple[str, ...] = ()


class LeaseBroker(Protocol):
    """Promises: whatever is asked twice is done once. Raises only Unavailable (`broker.*`), with effect `unknown` where
    the broker may have done what it was asked."""

    async def end(self, names: Sequence[Under], *, why: str, wait_seconds: float) -> EndedLeases:
        """End every open lease that stands under one of these names, and wait so long for the first attempts. What is
        not gone then goes on being ended. At most NAMES_MAX names."""
        ...

    async def recall(self, log: str, named: Sequence[tuple[LeaseName, str]]) -> int:
        """End these leases at these targets, which the ledger of this log names, where the broker does not know them
        any more. How many those were."""
        ...

    async def changes(
        self, log: str, after: int | None, *, wait_seconds: float
    ) -> tuple[int, Sequence[LeaseChange]]:
        """The leases of this log that changed after the change of this number, and the number of the last change of
        any; where there are none, waits so long for one. A number below `after` says that the broker's register is
        another than it was. after: up to which all is written down; None to go on from the last that was said."""
        ...

    async def leases(self, which: LeaseList, limit: int, *, after: str = "") -> Sequence[Lease]:
        """Those that are open, or unrevoked, in the order of their names, after this one; or those that ended last."""
        ...

    async def targets(self) -> Sequence[BrokerTarget]:
        """What it acts on."""
        ...

    async def strays(self) -> tuple[Sequence[tuple[str, str, bool]], dict[str, str]]:
        """As flows.settle_leases.find_strays: target, name and whether it was once a lease here; faults by target."""
        ...

    async def due_secrets(self) -> Sequence[DueSecret]:
        """Standing secrets that are to be replaced, by name, as the broker saw them last. None of them is shown."""
        ...

    async def rights(self, target: str, grants: JSONValue) -> Sequence[Right]:
        """What these grants come to at this target, as ports.target_rights says; empty where nobody can tell. Raises
        Unavailable, too, where the broker has no such target (`broker.failed`)."""
        ...

    async def narrowed(self, target: str, grants: JSONValue, kept: Sequence[str]) -> JSONValue:
        """These grants with the rights at these places alone, as ports.target_rights says; None where nothing would be
        left. Raises as `rights`."""
        ...
