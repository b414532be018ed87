"""Operations of the control API on the subject `suggestion`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.suggestion_answers import SuggestedRules
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given


def list_suggestions(
    control: Transport,
    *,
    since: str | None = None,
    approved_min: str | None = None,
    days: str | None = None,
    seconds_max: float = WAIT_SECONDS_MAX,
) -> SuggestedRules:
    """Narrower standing rules that history suggests; nothing comes into force by it."""
    return control.answer_as(
        SuggestedRules,
        "GET",
        "/v1/policy/suggestions",
        query=given(since=since, approved_min=approved_min, days=days),
        seconds_max=seconds_max,
    )
