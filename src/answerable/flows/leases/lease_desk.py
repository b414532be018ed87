"""State of a running broker: its targets, limits, queues and the index of open leases. Wiring puts it together.

Laws: a lease that may be live is in the index from before it is registered until the register says that it ended;
one task at a time ends a lease, and other callers wait for it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from anyio import Event
    from anyio.abc import TaskGroup

    from answerable.core.lease.credential import Credential
    from answerable.core.lease.lease import Lease, Under
    from answerable.core.lease.name import LeaseName
    from answerable.flows.leases.issuing import Issuing, Turns
    from answerable.flows.leases.lease_writer import LeaseWriter
    from answerable.flows.leases.secret_desk import SecretState
    from answerable.ports.brokered_target import BrokeredTarget
    from answerable.ports.clock import Clock
    from answerable.ports.credential_issuer import CredentialIssuer
    from answerable.ports.entropy import Entropy
    from answerable.ports.lease_register import LeaseRegister
    from answerable.ports.target_rights import TargetRights

NO_TARGET: Final = "the settings name no such target any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLimits:
    """Limits. issue_seconds_max, revoke_seconds_max: for one answer of an issuer. release_seconds_max: how long an
    answer waits for its lease to end; after that the answer is sent and the lease ended later. enders_per_target:
    concurrent revocations at one target. kept_ms: how long ended leases are stored."""

    issue_seconds_max: float = 15.0
    revoke_seconds_max: float = 30.0
    release_seconds_max: float = 5.0
    actions_per_target: int = 64
    enders_per_target: int = 16
    kept_ms: int = 604_800_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTarget:
    """A target of the broker. acting: limits concurrent actions. rights: lists the rights that grants give; None for a
    kind of target without such a list. by: whose code is called, for errors. sessions_max: actions of one lease at a
    time; 0 for any number."""

    issuer: CredentialIssuer
    target: BrokeredTarget
    acting: CapacityLimiter
    rights: TargetRights | None = None
    by: str = "the code of its kind"
    sessions_max: int = 0

    @classmethod
    def of(
        cls,
        issuer: CredentialIssuer,
        target: BrokeredTarget,
        limits: LeaseLimits,
        rights: TargetRights | None = None,
        by: str = "the code of its kind",
        sessions_max: int = 0,
    ) -> DeskTarget:
        """Return a target with its own limiter for actions."""
        acting = CapacityLimiter(limits.actions_per_target)
        return cls(
            issuer=issuer, target=target, acting=acting, rights=rights, by=by, sessions_max=sessions_max
        )


@dataclass(slots=True, kw_only=True)
class EndQueue:
    """Leases of one target that are to be ended, each with a reason, and the number of tasks that end them. Each target
    has its own queue, apart from its actions: a dead target delays no other, and no flood of actions delays an end.

    again: leases whose revocation failed before. They come last, and at most half of the tasks (retrying) work on them,
    so that a target that hangs there delays no lease that could be ended now.
    """

    waiting: deque[tuple[LeaseName, str]] = field(default_factory=deque)
    again: deque[tuple[LeaseName, str]] = field(default_factory=deque)
    enders: int = 0
    retrying: int = 0


class OpenLeases:
    """Every lease that may be live, by name and by the names that it depends on."""

    def __init__(self) -> None:
        self._leases: dict[LeaseName, Lease] = {}
        self._under: defaultdict[Under, set[LeaseName]] = defaultdict(set)
        # Interned, because many leases share the same names.
        self._shared: dict[Under, Under] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, name: LeaseName) -> bool:
        return name in self._leases

    def get(self, name: LeaseName) -> Lease | None:
        """Return the lease as it is now, if it is open."""
        return self._leases.get(name)

    def keep(self, lease: Lease) -> None:
        """Store the lease's current state; remove it if it has ended."""
        if not lease.is_open:
            self.drop(lease.name)
            return
        known = self._leases.get(lease.name)
        self._leases[lease.name] = lease
        if known is None:
            for one in lease.under:
                self._under[self._shared.setdefault(one, one)].add(lease.name)

    def drop(self, name: LeaseName) -> None:
        """Remove a lease of which nothing is live. Idempotent."""
        known = self._leases.pop(name, None)
        if known is not None:
            for one in known.under:
                self._parted(one, name)

    def within(self, names: Iterable[Under]) -> list[LeaseName]:
        """Return the leases that depend on any of these names, each once."""
        return list(dict.fromkeys(name for one in names for name in self._under.get(one, ())))

    def all(self) -> Collection[Lease]:
        """Return a copy of all open leases."""
        return tuple(self._leases.values())

    def unrevoked(self) -> list[Lease]:
        """Return the leases that could not be revoked, the longest open first."""
        found = [lease for lease in self._leases.values() if lease.state == "unrevoked"]
        return sorted(found, key=lambda lease: lease.named_at)

    def _parted(self, one: Under, name: LeaseName) -> None:
        standing = self._under[one]
        standing.discard(name)
        if not standing:
            del self._under[one]
            self._shared.pop(one, None)


@dataclass(slots=True, kw_only=True)
class BrokerState:
    """State of one broker. name: of this broker, as in warrants. credentials: of leases that may serve another action;
    in memory only.

    ending: leases that are being ended, with an event set when that attempt is over. issuing: leases that the target is
    being called for. turns: of the actions of leases that share a bounded number of sessions. queues: by target. due: a
    heap of monotonic seconds and names, of leases to check then; monotonic, so that a wall clock set back does not
    extend a lease. tasks: those that outlive a call. is_stopping: callers that wait for changes are answered at once,
    so that the time of a stop is left to ending leases. secrets: the broker's long-lived secrets, which no content may
    have; None where it has none.
    """

    name: str
    register: LeaseRegister
    writer: LeaseWriter
    clock: Clock
    entropy: Entropy
    targets: Mapping[str, DeskTarget]
    limits: LeaseLimits = field(default_factory=LeaseLimits)
    open: OpenLeases = field(default_factory=OpenLeases)
    credentials: dict[LeaseName, Credential] = field(default_factory=dict)
    ending: dict[LeaseName, Event] = field(default_factory=dict)
    issuing: dict[LeaseName, Issuing] = field(default_factory=dict)
    turns: dict[LeaseName, Turns] = field(default_factory=dict)
    queues: defaultdict[str, EndQueue] = field(default_factory=lambda: defaultdict(EndQueue))
    due: list[tuple[float, LeaseName]] = field(default_factory=list)
    due_changed: Event | None = None
    changed: Event | None = None
    is_stopping: bool = False
    tasks: TaskGroup | None = None
    secrets: SecretState | None = None
