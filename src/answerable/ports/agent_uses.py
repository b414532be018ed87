"""Port: when each agent was used last, as the processes of one deployment found it in their logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.identity.names.principal import AgentId, UnixMillis

DAYS_KEPT: Final = 4_000
"""More than the longest time without use that can be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """How far one log was read. read_to: entries. window: days that reading went back at first. told: times it was
    told, which never goes down, so that who waits for news needs no clock."""

    read_to: int
    window: int
    told: int


class AgentUses(Protocol):
    """Promises: what `keep` merged is on stable storage when it returns, and every process reads it from then on; a
    last use never moves back, nor does how far a log was read. Of days the latest DAYS_KEPT stay. All methods may wait
    for a disk, so they are called off the event loop. Raises only Unavailable (`register.*`).
    """

    def keep(
        self,
        log: str,
        *,
        read_to: int,
        window: int,
        used: Mapping[AgentId, UnixMillis],
        days: Collection[int],
    ) -> None:
        """A log was read on, whether there was news in it or not. One write. days: on which agents could have been
        used, by number since 1970."""
        ...

    def logs(self) -> Mapping[str, LogRead]:
        """Each log that was ever told of, by origin."""
        ...

    def last(self) -> Mapping[AgentId, UnixMillis]:
        """The last use of each agent that was ever used, in whatever log."""
        ...

    def days(self) -> frozenset[int]:
        """On which agents could have been used, in whatever log."""
        ...
