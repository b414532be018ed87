"""Report the cost of control: of this log as it is now, and of the deployment's other logs as last stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.decision.latency import Latency
from answerable.core.ledger.approval_statistics import HOUR_MS, restored
from answerable.core.ledger.describe_statistics import LogTold, StatisticsView
from answerable.core.ledger.figure_cells import Cell
from answerable.errors.codes.approval import STATS_SINCE
from answerable.flows.approval.keep_figures import FORM, read_figures

if TYPE_CHECKING:
    from answerable.core.ledger.approval_statistics import Figures
    from answerable.core.ledger.figure_cells import Group
    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.registry_store import RegistryStore

READ_SECONDS_MAX: Final = 2.0
"""How long the caller waits for entries that were not counted yet. The report says what is missing."""


async def report_statistics(
    recorder: Recorder,
    registry: RegistryStore,
    statistics: StatisticsState,
    policies: PolicyState,
    *,
    since: int = 0,
    others: bool = True,
    seconds_max: float = READ_SECONDS_MAX,
) -> StatisticsView:
    """Report the statistics of all logs together, this process's log first; without `others`, of that log alone.

    since: Unix milliseconds, rounded down to the hour; 0 for all.

    Raises Refused (`stats.since`) for a time before the stored hours, Unavailable, Broken (`ledger.*`).
    """
    own = await read_figures(recorder, statistics, seconds_max=seconds_max)
    now, origin, register = recorder.clock.now(), recorder.ledger.origin, statistics.register
    logs = [
        LogTold(
            origin=origin,
            entries=own.entries,
            size=recorder.ledger.size,
            at=now,
            unread=False,
            latency=statistics.latency,
        )
    ]
    found = [own]
    for name in register.origins() if register is not None and others else ():
        kept = register.kept(name) if register is not None and name != origin else None
        if kept is None:
            continue
        figures = restored(kept.rows, kept.entries) if kept.form == FORM else None
        if figures is not None:
            found.append(figures)
        logs.append(
            LogTold(
                origin=name,
                entries=kept.entries,
                size=None,
                at=kept.at,
                unread=figures is None,
                latency=_latency(kept.beside),
            )
        )
    groups, waiting = _joined(found, since, now)
    return StatisticsView(
        at=now,
        since=since // HOUR_MS * HOUR_MS,
        policy_set=policies.decision_point.policy_set,
        registry=registry.current.digest,
        groups=groups,
        waiting=waiting,
        logs=tuple(logs),
    )


def _joined(found: list[Figures], since: int, now: int) -> tuple[dict[Group, Cell], dict[Group, int]]:
    kept_from = max(one.from_hour for one in found)
    if since and since // HOUR_MS < kept_from:
        hour = datetime.fromtimestamp(kept_from * HOUR_MS / 1000, UTC)
        raise STATS_SINCE(
            f"hourly figures are kept from {hour.isoformat()} on: ask for a later start, or for all"
        )
    groups: dict[Group, Cell] = {}
    waiting: dict[Group, int] = {}
    for one in found:
        for group, cell in one.within(since, now).items():
            groups.setdefault(group, Cell()).join(cell)
        for group, count in one.waiting(now).items():
            waiting[group] = waiting.get(group, 0) + count
    return groups, waiting


def _latency(beside: bytes) -> Latency | None:
    try:
        found = msgspec.json.decode(beside, type=Latency)
    except msgspec.MsgspecError:
        return None
    return found if len(found.counts) == len(Latency().counts) else None
