"""State of leases in the gateway: the broker, lease lifetimes, and the open task windows."""

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
    """Lifetimes of leases, in milliseconds. `tier_ms_max`: hard cap for each tier, from 0."""

    action_ms: int = 60_000
    task_ms: int = 900_000
    tier_ms_max: tuple[int, int, int, int] = (900_000, 900_000, 900_000, 300_000)

    def ends(self, window: LeaseWindow, *, ttl_seconds: int, tier: int, at: UnixMillis) -> UnixMillis:
        """Return the latest end of a lease that begins now; other causes may end it earlier."""
        own = ttl_seconds * 1000 or (self.action_ms if window == "action" else self.task_ms)
        return UnixMillis(at + min(own, self.tier_ms_max[tier]))


@dataclass(slots=True, kw_only=True)
class LeaseSide:
    """The gateway's view of the broker and its leases.

    `broker`: name in warrants. `asks`: port to the broker.
    `windows`: open task windows by key, least recently used first; `keys`: their keys by lease name.
    `owed`: ends that the broker could not be told yet; `owed_all`: the broker must check everything that is open.
    `is_used`: whether something registered is a target of the broker, or was since this process started.
    `stirred`: set when there is something to tell the broker.
    `others`: current logs of other processes that share the broker.
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
        """Queue these ends for the broker, to be reported as soon as it can be reached."""
        self.owed |= names
        if len(self.owed) > OWED_MAX:
            self.owed, self.owed_all = {}, True
        self.stirred.set()

    def owe_all(self) -> None:
        """Queue a check of every open lease against what is in force now."""
        self.owed_all = True
        self.stirred.set()

    def keep(self, key: tuple[str, ...], terms: LeaseTerms) -> None:
        """Store an open window as the last used; past `WINDOWS_MAX` the least recently used window is dropped."""
        known = self.windows.get(key)
        if known is not None:
            self.forget(known.name)
        while len(self.windows) >= WINDOWS_MAX:
            self.forget(next(iter(self.windows.values())).name)
        self.windows[key] = terms
        self.keys[terms.name] = key

    def forget(self, name: LeaseName) -> None:
        """Drop a window so that no further action uses it."""
        key = self.keys.pop(name, None)
        if key is not None:
            del self.windows[key]
