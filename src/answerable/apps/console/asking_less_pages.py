"""Suggest ways to ask fewer questions: narrower rules derived from history, and commands that show what a change would
bring.

The page changes nothing: a policy is proposed with one person's signature and published by another, with the command
line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from answerable.apps.console.deciding_pages import DAY_MS, DAYS, length
from answerable.errors import AnswerableError
from answerable.flows.approval.suggest_rules import APPROVED_MIN, suggest_rules

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.flows.approval.suggest_rules import SuggestedRule, Suggestions
    from answerable.flows.state.figures_desk import StatisticsState
    from answerable.flows.state.parts import Recorder
    from answerable.ports.registry_store import RegistryStore

SECONDS_MAX: Final = 0.5
"""Longest wait of the page for entries that are not read yet."""
KEPT_SECONDS: Final = 30.0
"""How long a result is cached: computing one opens every entry that supports it."""
SHOWN_MAX: Final = 10
UNTOLD_MAX: Final = 20
ENTRIES_SHOWN_MAX: Final = 8
CONDITION_CHARS_MAX: Final = 2_000
BUSIEST_MAX: Final = 5


class AskingLess:
    """The page, with a cache of its last result."""

    def __init__(self) -> None:
        self._found: tuple[float, Suggestions] | None = None

    async def page(self, asked: Asked) -> Response:
        """Show the page; without suggestions when they cannot be computed now."""
        walk = asked.walk
        try:
            found = await self._lately(walk.recorder, walk.authority.registry, walk.asking.figures)
        except AnswerableError:
            return asked.page("asking_less.html", found=None, days=DAYS, least=APPROVED_MIN)
        good = [one for one in found.rules if not one.why_not]
        return asked.page(
            "asking_less.html",
            found=[_row(number, one) for number, one in enumerate(good[:SHOWN_MAX], 1)],
            more=max(0, len(good) - SHOWN_MAX),
            untold=[one for one in found.rules if one.why_not][:UNTOLD_MAX],
            busiest=_busiest(walk.authority.registry, found),
            behind=found.size - found.entries,
            days=DAYS,
            least=APPROVED_MIN,
        )

    async def _lately(
        self, recorder: Recorder, registry: RegistryStore, figures: StatisticsState
    ) -> Suggestions:
        now = recorder.clock.monotonic()
        if self._found is not None and now - self._found[0] < KEPT_SECONDS:
            return self._found[1]
        since = max(0, recorder.clock.now() - DAYS * DAY_MS)
        # Compare with the size at the start: in a log that always grows, no result would ever be cached.
        size = recorder.ledger.size
        found = await suggest_rules(recorder, registry, figures, since=since, seconds_max=SECONDS_MAX)
        if found.entries >= size:
            self._found = (now, found)
        return found


def _row(number: int, one: SuggestedRule) -> dict[str, Any]:
    whole = len(one.condition) <= CONDITION_CHARS_MAX
    return {
        "number": number,
        "rule": one.of.rule,
        "agent": one.of.agent,
        "capability": one.of.capability,
        "approved": one.approved,
        "people": one.people,
        "waited": length(one.waited_ms),
        "until": one.until,
        "entries": [*one.entries[:ENTRIES_SHOWN_MAX]],
        "entries_left": max(0, len(one.entries) - ENTRIES_SHOWN_MAX),
        "condition": [line.strip() for line in one.condition.splitlines()] if whole else [],
        "notes": one.notes,
    }


def _busiest(registry: RegistryStore, found: Suggestions) -> list[dict[str, Any]]:
    """Return the capabilities that most approvals were about, with the next lower tier."""
    known = registry.current.capabilities
    every = [(known[name], count) for name, count in found.asked if name in known and count]
    return [
        {"name": one.name, "count": count, "tier": one.tier, "lower": one.tier - 1}
        for one, count in every[:BUSIEST_MAX]
        if one.tier
    ]
