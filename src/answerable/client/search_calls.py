"""Operations of the control API on the subject `search`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.search_answers import SearchAnswer
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given


def search_actions(
    control: Transport,
    *,
    q: str | None = None,
    limit: str | None = None,
    cursor: str | None = None,
    seconds_max: float = WAIT_SECONDS_MAX,
) -> SearchAnswer:
    """What happened, newest first: actions with their outcome, refusals, and every other entry of the ledger."""
    return control.answer_as(
        SearchAnswer,
        "GET",
        "/v1/actions",
        query=given(q=q, limit=limit, cursor=cursor),
        seconds_max=seconds_max,
    )
