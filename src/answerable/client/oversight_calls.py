"""Operations of the control API on the subject `oversight`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.oversight_answers import Oversight
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given


def show_oversight(
    control: Transport, *, since: str | None = None, seconds_max: float = WAIT_SECONDS_MAX
) -> Oversight:
    """How people decide: by approver, rule, group and tier, with tests that were caught or were not."""
    return control.answer_as(
        Oversight, "GET", "/v1/oversight", query=given(since=since), seconds_max=seconds_max
    )
