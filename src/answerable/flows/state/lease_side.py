"""What the gateway knows of leases: the broker it asks, how long they may live, and the task windows that are open."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from anyio import Event

from answerable.core.identity.names.principal import UnixMillis

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from answerable.core.lease.lease import Under
    from answerable.core.lease.name import LeaseName
    from answerable.core.ledger.warrant_token import LeaseTerms
    from answerable.core.registry.documents.lease_template import LeaseWindow
    from answerable.ports.lease_broker import LeaseBroker
    from answerable.ports.stored_log import StoredLog

WINDOWS_MAX: Final = 100_000
OWED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLives:
    """How long leases live, in milliseconds. tier_ms_max: hard cap for each tier, from 0."""

    action_ms: int = 60_000
    task_ms: int = 900_000
    tier_ms_max: tuple[int, int, int, int] = (900_000, 900_000, 900_000, 300_000)

    def ends(self, window: LeaseWindow, *, ttl_seconds: int, tier: int, at: UnixMillis) -> UnixMillis:
        """When a lease of now ends at the latest, whatever else may end it sooner."""
        own = ttl_seconds * 1000 or (self.action_ms if window == "action" else self.task_ms)
        return UnixMillis(at + min(own, self.tier_ms_max[tier]))


@dataclass(slots=True, kw_only=True)
class LeaseSide:
    """broker: as warrants name it. asks: how it is asked. windows: of tasks, by what makes them one, the least recently
    used first; keys: of these, by name. owed: what the broker is to end and could not be told; owed_all: it is to be
    asked for everything that is open. is_used: something registered is a target of the broker, or was since our start.
    stirred: set when there is something to tell it. others: the logs of other processes that share the broker, as they
    are now.
    """

    broker: str
    asks: LeaseBroker
    lives: LeaseLives = field(default_factory=LeaseLives)
    windows: OrderedDict[tuple[str, ...], LeaseTerms] = field(default_factory=OrderedDict)
    keys: dict[LeaseName, tuple[str, ...]] = field(default_factory=dict)
    owed: dict[Under, str] = field(default_factory=dict)
    owed_all: bool = True
    is_used: bool = False
    stirred: Event = field(default_factory=Event)
    others: Callable[[], Sequence[StoredLog]] = tuple

    def owe(self, names: Mapping[Under, str]) -> None:
        """Have these told to the broker as soon as it can be reached."""
        self.owed |= names
        if len(self.owed) > OWED_MAX:
            self.owed, self.owed_all = {}, True
        self.stirred.set()

    def owe_all(self) -> None:
        """Have everything that is open held against what stands now."""
        self.owed_all = True
        self.stirred.set()

    def keep(self, key: tuple[str, ...], terms: LeaseTerms) -> None:
        """This window is open, and was used last; past WINDOWS_MAX the one that was not for longest is forgotten."""
        known = self.windows.get(key)
        if known is not None:
            self.forget(known.name)
        while len(self.windows) >= WINDOWS_MAX:
            self.forget(next(iter(self.windows.values())).name)
        self.windows[key] = terms
        self.keys[terms.name] = key

    def forget(self, name: LeaseName) -> None:
        """This window serves nobody any more."""
        key = self.keys.pop(name, None)
        if key is not None:
            del self.windows[key]
