"""The price of control, told: of this log as it is now, and of the others of the deployment as they were kept last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from answerable.core.decision.latency import Latency
from answerable.core.ledger.figures import HOUR_MS, Cell, Group, restored
from answerable.errors import Refused
from answerable.flows.keep_figures import FORM, read_figures

if TYPE_CHECKING:
    from answerable.core.ledger.figures import Figures
    from answerable.flows.walk import Walk

READ_SECONDS_MAX: Final = 2.0
"""How long whoever asks waits for what was not counted yet; what is missing then is said."""


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
class FiguresTold:
    """since: the beginning of the first hour that is counted, Unix ms; 0 for the first entry. waiting: questions that
    people can still answer, by group."""

    at: int
    since: int
    policy_set: str
    registry: str
    groups: dict[Group, Cell]
    waiting: dict[Group, int]
    logs: tuple[LogTold, ...]


async def tell_figures(walk: Walk, *, since: int = 0, seconds_max: float = READ_SECONDS_MAX) -> FiguresTold:
    """Of all logs together. since: Unix milliseconds, taken back to the beginning of its hour; 0 for all.

    Raises Refused (`stats.since`) for a time before the hours that are kept, Unavailable, Broken (`ledger.*`).
    """
    own = await read_figures(walk, seconds_max=seconds_max)
    now, origin, register = walk.clock.now(), walk.ledger.origin, walk.figures.register
    logs = [
        LogTold(
            origin=origin,
            entries=own.entries,
            size=walk.ledger.size,
            at=now,
            unread=False,
            latency=walk.figures.latency,
        )
    ]
    found = [own]
    for name in register.origins() if register is not None else ():
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
    return FiguresTold(
        at=now,
        since=since // HOUR_MS * HOUR_MS,
        policy_set=walk.decision_point.policy_set,
        registry=walk.registry.current.digest,
        groups=groups,
        waiting=waiting,
        logs=tuple(logs),
    )


def _joined(found: list[Figures], since: int, now: int) -> tuple[dict[Group, Cell], dict[Group, int]]:
    kept_from = max(one.from_hour for one in found)
    if since and since // HOUR_MS < kept_from:
        raise Refused(
            f"figures by the hour are kept from {kept_from * HOUR_MS} on (Unix milliseconds): ask for less, or for all",
            code="stats.since",
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
