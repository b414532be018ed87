"""Report from this log how people decide: by approver, rule and group of people, with figures by tier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.describe_oversight import OversightFigures, oversight_figures
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.oversight import WORKFLOW
from answerable.flows.approval.report_statistics import report_statistics
from answerable.flows.recording.paced_reading import in_turns

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.describe_statistics import StatisticsView
    from answerable.core.ledger.oversight import Oversight
    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

READ_SECONDS_MAX: Final = 2.0
"""How long the caller waits for entries that were not read yet. The report says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OversightTold:
    """Oversight figures of one log. since: Unix milliseconds, 0 for all. names: of approvers, by pseudonym; empty for a
    person who was erased. entries: how many were read, of size. complete_from: questions before that time may be
    missing. tiers: the statistics of the same period, whose times are rounded down to the hour."""

    origin: str
    at: UnixMillis
    since: int
    figures: OversightFigures
    names: dict[str, str]
    entries: int
    size: int
    complete_from: int
    unreadable: int
    tiers: StatisticsView


async def report_oversight(
    recorder: Recorder,
    registry: RegistryStore,
    statistics: StatisticsState,
    policies: PolicyState,
    *,
    since: int = 0,
    seconds_max: float = READ_SECONDS_MAX,
) -> OversightTold:
    """Report figures of the questions asked since a time, Unix milliseconds.

    Raises Refused (`stats.since`) for a time before the stored hours, Unavailable, Broken (`ledger.*`).
    """
    tiers = await report_statistics(
        recorder, registry, statistics, policies, since=since, others=False, seconds_max=seconds_max
    )
    read = await read_oversight(recorder.ledger, statistics, recorder.clock, seconds_max=seconds_max)
    now = recorder.clock.now()
    figures = oversight_figures(read, since=since, now=now)
    return OversightTold(
        origin=recorder.ledger.origin,
        at=now,
        since=since,
        figures=figures,
        names={person: _name(recorder, person, index) for person, index in figures.spoken.items()},
        entries=read.entries,
        size=recorder.ledger.size,
        complete_from=read.complete_from,
        unreadable=read.unreadable,
        tiers=tiers,
    )


async def read_oversight(
    ledger: Ledger, figures: StatisticsState, clock: Clock, *, seconds_max: float = READ_SECONDS_MAX
) -> Oversight:
    """Read the new entries of the log, for at most `seconds_max`. Raises Unavailable, and Broken (`ledger.*`)."""
    desk = figures
    async with desk.looking:
        read = desk.oversight
        if read.entries < ledger.size:
            ends_at = clock.monotonic() + seconds_max
            async for stored in in_turns(ledger, clock, read.entries, ends_at):
                read.fold(stored)
        return read


def _name(recorder: Recorder, person: str, index: int) -> str:
    """Return the name as an answer of that person has it; empty where it can no longer be opened. A workflow's name is
    no secret."""
    if person.startswith(WORKFLOW):
        return person
    stored = recorder.ledger.entry(index)
    fields = payload_of(stored, leaf_of(stored), recorder.subject_keys.find) or {}
    name = fields.get("person")
    return name if isinstance(name, str) else ""
