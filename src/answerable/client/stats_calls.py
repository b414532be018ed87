"""Operations of the control API on the subject `stats`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.stats_answers import Stats
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given


def show_stats(
    control: Transport, *, since: str | None = None, seconds_max: float = WAIT_SECONDS_MAX
) -> Stats:
    """What control costs: actions that ran alone, were asked about or refused, by tier and use case."""
    return control.answer_as(Stats, "GET", "/v1/stats", query=given(since=since), seconds_max=seconds_max)
