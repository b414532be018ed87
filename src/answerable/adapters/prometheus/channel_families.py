"""Export the state of approval channels as metric families.

The only label is the channel's name, which comes from the settings. All processes on one register report the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from answerable.ports.delivery_register import ChannelState


def channel_families(states: Mapping[str, ChannelState]) -> Iterator[Metric]:
    """Return no family if there is no channel."""
    if not states:
        return
    up = GaugeMetricFamily(
        "answerable_channel_up", "Whether a channel took messages last", labels=("channel",)
    )
    messages = CounterMetricFamily(
        "answerable_channel_messages",
        "Messages to people that were taken, never will be, or were too many to be planned",
        labels=("channel", "result"),
    )
    for name, state in states.items():
        up.add_metric((name,), 0 if state.error else 1)
        for result, count in (("sent", state.sent), ("missed", state.missed), ("left_out", state.left_out)):
            messages.add_metric((name, result), count)
    yield from (up, messages)
