"""Export how far the logs of targets were read, and what they show. Labels are targets, kinds and our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client import Metric

    from answerable.api.log_answers import FollowedLog


def log_families(logs: Sequence[FollowedLog]) -> Iterator[Metric]:
    """Yield the families; none where no log is followed."""
    if not logs:
        return
    labels = ("targets", "kind")
    lines = CounterMetricFamily(
        "answerable_target_log_lines", "Lines of logs of targets by what they are", labels=(*labels, "answer")
    )
    late = GaugeMetricFamily(
        "answerable_target_log_late_seconds",
        "Age of the first line that is read and not judged",
        labels=labels,
    )
    since = GaugeMetricFamily(
        "answerable_target_log_actions_since",
        "Actions that ended at a target after the last line of its log",
        labels=labels,
    )
    state = GaugeMetricFamily(
        "answerable_target_log_ok", "1 where a log of a target is read and not silent", labels=labels
    )
    for values, several in _grouped(logs).items():
        answers = sorted({answer for one in several for answer in one.lines})
        for answer in answers:
            lines.add_metric((*values, answer), sum(one.lines.get(answer, 0) for one in several))
        late.add_metric(values, max(one.late_seconds for one in several))
        since.add_metric(values, max(one.actions_since for one in several))
        state.add_metric(values, int(all(one.state in ("ok", "behind") for one in several)))
    yield from (lines, late, since, state)


def _grouped(logs: Sequence[FollowedLog]) -> dict[tuple[str, str], list[FollowedLog]]:
    found: dict[tuple[str, str], list[FollowedLog]] = {}
    for one in logs:
        found.setdefault((",".join(one.targets), one.kind), []).append(one)
    return found
