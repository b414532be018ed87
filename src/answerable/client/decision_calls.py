"""Operations of the control API on the subject `decision`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.decision_answers import Possible, Replayed
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, given


def replay_decisions(
    control: Transport,
    *,
    start: str | None = None,
    stop: str | None = None,
    entries: str | None = None,
    log: str | None = None,
    seconds_max: float = WAIT_SECONDS_MAX,
) -> Replayed:
    """Past decisions, derived again from the ledger, so many entries at a time."""
    return control.answer_as(
        Replayed,
        "GET",
        "/v1/decisions/replay",
        query=given(start=start, stop=stop, entries=entries, log=log),
        seconds_max=seconds_max,
    )


def tell_possible(
    control: Transport,
    *,
    action: str | None = None,
    agent: str | None = None,
    resource: str | None = None,
    at: str | None = None,
    seconds_max: float = WAIT_SECONDS_MAX,
) -> Possible:
    """What an agent could do at a time by what was in force then, or which agents could."""
    return control.answer_as(
        Possible,
        "GET",
        "/v1/decisions/possible",
        query=given(action=action, agent=agent, resource=resource, at=at),
        seconds_max=seconds_max,
    )
