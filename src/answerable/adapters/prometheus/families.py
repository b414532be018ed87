"""Export the statistics of one process as metric families.

The only labels are tier and use case, which come only from registered documents and signed mandates, for a bounded
number of groups: an agent, mandate, person, tool or argument is never a label. Without data there is no sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from answerable.core.decision.latency import MICROS
from answerable.core.ledger.figure_cells import UNSAID, Cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric

    from answerable.core.decision.latency import Latency
    from answerable.core.ledger.describe_statistics import StatisticsView
    from answerable.core.ledger.figure_cells import Group
    from answerable.core.ledger.spread import Spread

_GROUP: Final = ("tier", "use_case")
NO_REVIEWS: Final[Mapping[str, int]] = MappingProxyType({})
_PERCENTS: Final = (50, 95)
_MS: Final = 1_000
_US: Final = 1_000_000


def families_of(found: StatisticsView, reviews: Mapping[str, int] = NO_REVIEWS) -> Iterator[Metric]:
    """Yield the families of a process: the statistics of its own log (the first in `found`) and of its decisions.
    reviews: of break-glass uses not reviewed yet, how many are owed and overdue."""
    groups = dict(sorted(found.groups.items()))
    yield from _actions(groups)
    yield from _questions(groups, found.waiting)
    yield from _effects(groups)
    yield from _events(groups)
    if reviews:
        owed = GaugeMetricFamily("answerable_reviews", "Broken glasses not reviewed yet", labels=("state",))
        for state, count in reviews.items():
            owed.add_metric((state,), count)
        yield owed
    own = found.logs[0]
    entries = GaugeMetricFamily("answerable_figures_entries", "Entries of this log that are counted")
    entries.add_metric((), own.entries)
    size = GaugeMetricFamily("answerable_ledger_entries", "Entries of this log")
    size.add_metric((), own.size or 0)
    yield from (entries, size)
    if own.latency is not None:
        yield _decisions(own.latency)


def _actions(groups: Mapping[Group, Cell]) -> Iterator[Metric]:
    actions = CounterMetricFamily(
        "answerable_actions",
        "Actions that ran alone, were asked about, were refused",
        labels=(*_GROUP, "how"),
    )
    after = CounterMetricFamily(
        "answerable_actions_after_approval", "Actions that ran after people agreed", labels=_GROUP
    )
    for group, cell in groups.items():
        if cell.actions:
            shares = (("alone", cell.alone), ("asked", cell.asked), ("refused", cell.refused + cell.counted))
            for how, count in shares:
                actions.add_metric((*group, how), count)
        if cell.actions or cell.after_approval:
            after.add_metric(group, cell.after_approval)
    yield from (actions, after)


def _questions(groups: Mapping[Group, Cell], waiting: Mapping[Group, int]) -> Iterator[Metric]:
    answered = CounterMetricFamily(
        "answerable_questions_answered", "Questions to people that were decided", labels=(*_GROUP, "verdict")
    )
    unanswered = GaugeMetricFamily(
        "answerable_questions_unanswered", "Questions to people that ran out", labels=_GROUP
    )
    open_ones = GaugeMetricFamily(
        "answerable_questions_waiting", "Questions that people can still answer", labels=_GROUP
    )
    wait = GaugeMetricFamily(
        "answerable_question_wait_seconds", "How long people took, at most", labels=(*_GROUP, "quantile")
    )
    tasks = CounterMetricFamily("answerable_tasks", "Mandates that were issued", labels=("use_case",))
    for group, cell in groups.items():
        if cell.asked:
            for verdict, count in (("approve", cell.approved), ("deny", cell.denied)):
                answered.add_metric((*group, verdict), count)
            unanswered.add_metric(group, cell.unanswered)
            open_ones.add_metric(group, waiting.get(group, 0))
        _add_quantiles(wait, group, cell.waits, _MS)
        if cell.tasks:
            tasks.add_metric((group.use_case,), cell.tasks)
    yield from (answered, unanswered, open_ones, wait, tasks)


def _effects(groups: Mapping[Group, Cell]) -> Iterator[Metric]:
    ends = CounterMetricFamily("answerable_outcomes", "How actions ended", labels=(*_GROUP, "status"))
    traced = CounterMetricFamily(
        "answerable_effects_traced",
        "Of a sample of effects, those that were followed to who answers for them, or could not be",
        labels=(*_GROUP, "found"),
    )
    tracing = GaugeMetricFamily(
        "answerable_trace_seconds", "How long following one took, at most", labels=(*_GROUP, "quantile")
    )
    for group, cell in groups.items():
        if cell.alone or cell.after_approval:
            for status in ("succeeded", "failed", "not_started", "indeterminate"):
                ends.add_metric((*group, status), getattr(cell, status))
        if cell.traced or cell.untraced:
            traced.add_metric((*group, "yes"), cell.traced)
            traced.add_metric((*group, "no"), cell.untraced)
        _add_quantiles(tracing, group, cell.tracing, _US)
    yield from (ends, traced, tracing)


def _events(groups: Mapping[Group, Cell]) -> Iterator[Metric]:
    everything = groups.get(UNSAID, Cell())
    stops = CounterMetricFamily(
        "answerable_stops", "Revocations, ends of instances, holds placed and lifted", labels=("kind",)
    )
    for kind in ("revoked", "ended", "held", "lifted"):
        stops.add_metric((kind,), getattr(everything, kind))
    contained = GaugeMetricFamily(
        "answerable_containment_seconds",
        "From when a stop was in force to the end of the last action that it came too late for, at most",
        labels=("quantile",),
    )
    _add_quantiles(contained, (), everything.containing, _MS)
    untimed = CounterMetricFamily(
        "answerable_stops_untimed", "Stops that came too late for more actions than their entries name"
    )
    untimed.add_metric((), everything.untimed)
    drills = CounterMetricFamily(
        "answerable_drills", "Drills that were run; nothing else of them is counted", labels=("passed",)
    )
    drills.add_metric(("yes",), everything.drills - everything.drills_failed)
    drills.add_metric(("no",), everything.drills_failed)
    changes = CounterMetricFamily("answerable_policy_changes", "Changes of policy sets")
    changes.add_metric((), everything.policy_changes)
    unreadable = CounterMetricFamily("answerable_unreadable_entries", "Entries that could not be counted")
    unreadable.add_metric((), sum(cell.unreadable for cell in groups.values()))
    yield from (stops, contained, untimed, drills, changes, unreadable)


def _decisions(latency: Latency) -> Metric:
    """Export decision times since the process started."""
    family = HistogramMetricFamily(
        "answerable_decision_seconds", "How long gathering facts and deciding took, since the process began"
    )
    below = 0
    buckets: list[tuple[str, float]] = []
    edges = [*(str(micros / _US) for micros in MICROS), "+Inf"]
    for edge, count in zip(edges, latency.counts, strict=True):
        below += count
        buckets.append((edge, below))
    family.add_metric((), buckets, latency.seconds)
    return family


def _add_quantiles(family: GaugeMetricFamily, labels: Sequence[str], spread: Spread, per_second: int) -> None:
    for percent in _PERCENTS:
        value = spread.at(percent)
        if value is not None:
            family.add_metric((*labels, str(percent / 100)), value / per_second)
