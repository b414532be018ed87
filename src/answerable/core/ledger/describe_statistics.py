"""Control statistics combined over the logs of a deployment, as reported to users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.decision.latency import Latency
    from answerable.core.ledger.figure_cells import Cell, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTold:
    """One log in the report. entries: number counted. size: current size of the log; None for the log of another
    process. at: time of the count, Unix ms. unread: the stored counts have another format than ours and are not
    included. latency: of the decisions of that process."""

    origin: str
    entries: int
    size: int | None
    at: int
    unread: bool
    latency: Latency | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsView:
    """The combined control statistics of a deployment. since: start of the first counted hour, Unix ms; 0 for the first
    entry. waiting: approvals that people can still answer, by group."""

    at: int
    since: int
    policy_set: str
    registry: str
    groups: dict[Group, Cell]
    waiting: dict[Group, int]
    logs: tuple[LogTold, ...]
