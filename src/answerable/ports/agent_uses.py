"""Port: when each agent was last used, as the processes of one deployment read it from their logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.identity.names.principal import AgentId, UnixMillis

DAYS_KEPT: Final = 4_000
"""Upper bound of stored days. Exceeds the longest configurable time without use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """How far one log was read. read_to: number of entries read. window: days covered by the first read. told: number
    of `keep` calls for this log; never decreases, so that a reader detects progress without a clock."""

    read_to: int
    window: int
    told: int


class AgentUses(Protocol):
    """Promises: what `keep` merged is on stable storage when it returns, and every process reads it from then on; a
    last use and a read position never move back. The latest DAYS_KEPT days stay stored. All methods may wait for a
    disk, so they are called off the event loop. Raises only Unavailable (`register.*`)."""

    def keep(
        self,
        log: str,
        *,
        read_to: int,
        window: int,
        used: Mapping[AgentId, UnixMillis],
        days: Collection[int],
    ) -> None:
        """Merge what one log says up to `read_to`, also where it says nothing new. One write. days: days since
        1970-01-01 on which agents could have been used."""
        ...

    def logs(self) -> Mapping[str, LogRead]:
        """Return the state of each log that was ever merged, by origin."""
        ...

    def last(self) -> Mapping[AgentId, UnixMillis]:
        """Return the last use of each agent that was ever used, over all logs."""
        ...

    def days(self) -> frozenset[int]:
        """Return the days since 1970-01-01 on which agents could have been used, over all logs."""
        ...
