"""Record local processes that belong to no agent, under names that the processes cannot choose, and not too many of
them.

Laws: a name consists of the user, which the kernel reports, and the beginning of a digest; one user adds a bounded
number of names per hour, so that nobody can crowd out the entries of others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.snapshot.unregistered import DIGITS, process_name

if TYPE_CHECKING:
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.ports.clock import Clock
    from answerable.ports.process_observer import ProcessFacts

NAMES_PER_USER_MAX: Final = 20
USERS_MAX: Final = 1_000
SECONDS: Final = 3_600.0
OTHER_USERS: Final = "other users"


class SeenStrangers:
    """Recorder of unregistered processes. For the event loop's thread only."""

    __slots__ = ("_began", "_clock", "_names", "_seen")

    def __init__(self, seen: DiscoveredAssets, clock: Clock) -> None:
        self._seen = seen
        self._clock = clock
        self._began = clock.monotonic()
        self._names: dict[int, set[str]] = {}

    def note(self, facts: ProcessFacts) -> None:
        """Record a process. Above the limits a user's processes are `uid N others`, and users `other users`. Never
        raises."""
        at = self._clock.monotonic()
        if at - self._began >= SECONDS:
            self._began, self._names = at, {}
        name = self._name(facts)
        self._seen.note(
            "agent",
            name,
            self._clock.now(),
            source=name if name == OTHER_USERS else f"user {facts.uid}",
            grade="kernel",
            how="asked for an identity",
        )

    def enrolled(self, facts: ProcessFacts) -> None:
        """Remove the record of a process that now belongs to an agent. Never raises."""
        self._seen.leave("agent", process_name(facts.uid, facts.sha256))

    def _name(self, facts: ProcessFacts) -> str:
        if facts.uid not in self._names and len(self._names) >= USERS_MAX:
            return OTHER_USERS
        names = self._names.setdefault(facts.uid, set())
        digest = facts.sha256[:DIGITS]
        if digest not in names and len(names) >= NAMES_PER_USER_MAX - 1:
            return f"uid {facts.uid} others"
        names.add(digest)
        return process_name(facts.uid, facts.sha256)
