"""Trackers for simulated runs of a walk, and a check of their counts against the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.decision.counter import resource_key
from answerable.core.decision.history import History, UnknownHistory
from answerable.flows.counters.keep_history import HistoryReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.history import HistoryState
    from answerable.flows.state.parts import AuthorityRegisters, Recorder

TRACKERS: Final[tuple[dict[str, JSONValue], ...]] = (
    {"name": "started", "over": "mandate"},
    {"name": "ended", "over": "agent", "within": "90d", "event": "succeeded"},
    {"name": "failed", "over": "agent", "within": "80d", "event": "failed", "sameResource": True},
    {"name": "denied", "over": "mandate", "event": "denied"},
    {"name": "approved", "over": "agent", "within": "90d", "event": "approved", "sameResource": True},
    {"name": "paid", "over": "agent", "within": "90d", "capabilities": ["crm.refund"], "sum": "amount"},
    {
        "name": "steps",
        "over": "mandate",
        "steps": [{"event": "approved"}, {"kinds": ["pay"]}, {"kinds": ["read"]}],
    },
)
"""Trackers as policy sets declare them. Their windows are longer than a run, so that the counts can be compared with
the whole log."""


def history_faults(
    recorder: Recorder, authority: AuthorityRegisters, counted: History, agents: Iterable[str]
) -> Iterator[str]:
    """Yield one line for each owner whose counts differ from the log. Counts of refusals that found no room in the log
    may be higher."""
    history, now = History(counted.trackers), recorder.clock.now()
    reader = HistoryReader(recorder, authority, history, authority.registry.current)
    for stored in recorder.ledger.replay():
        reader.fold(stored)
    for mandate in authority.mandates.all():
        if now >= mandate.expires_at or authority.mandates.state(mandate.id) == "closed":
            continue
        for agent in agents:
            resource = resource_key("Case", "4711")
            live, told = (
                one.values(agent=agent, mandate=mandate.id, resource=resource, now=now)
                for one in (counted, history)
            )
            whose = f"{agent} under {mandate.id}"
            if isinstance(live, UnknownHistory) or isinstance(told, UnknownHistory):
                yield f"the history of {whose} is not known: {live}, {told}"
            elif any(live[one] != told[one] and (one != "denied" or live[one] < told[one]) for one in told):
                yield f"{live} was counted of {whose}, the log says {told}"


async def kept_here(keep: Callable[[str, HistoryState], None], origin: str, state: HistoryState) -> None:
    """Store without a thread, since a thread's timing is not determined by the seed."""
    keep(origin, state)
