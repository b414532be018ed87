"""The price of control as it is told: of the logs of a deployment, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.decision.latency import Latency
    from answerable.core.ledger.figure_cells import Cell, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTold:
    """entries: that are counted. size: of the log now; None for the log of another process. at: as of when, Unix ms.
    unread: what was kept of it is of another form than ours, so that nothing of it is in the figures. latency: of the
    decisions of that process."""

    origin: str
    entries: int
    size: int | None
    at: int
    unread: bool
    latency: Latency | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsView:
    """since: the beginning of the first hour that is counted, Unix ms; 0 for the first entry. waiting: questions that
    people can still answer, by group."""

    at: int
    since: int
    policy_set: str
    registry: str
    groups: dict[Group, Cell]
    waiting: dict[Group, int]
    logs: tuple[LogTold, ...]
