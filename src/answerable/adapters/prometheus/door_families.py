"""Export refusals at listeners as a metric family. Labels are the listener and our own error code, nothing that a
sender chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from answerable.core.identity.proof.door_refusal import Door


def door_families(totals: Mapping[tuple[Door, str], int]) -> Iterator[Metric]:
    """Count since the process started; no family if nothing was refused."""
    if not totals:
        return
    refused = CounterMetricFamily(
        "answerable_door_refusals",
        "Messages that were refused at a door, before there was an action",
        labels=("door", "code"),
    )
    for (door, code), count in sorted(totals.items()):
        refused.add_metric((door, code), count)
    yield refused
