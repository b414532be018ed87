"""Operations of the control API on the subject `mandate`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.mandate_answers import Draft, DraftRequest, Mandate
from answerable.api.members import Page, Token
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def draft_mandate(
    control: Transport, name: str, body: DraftRequest, *, seconds_max: float = WAIT_SECONDS_MAX
) -> Draft:
    """The mandate a template gives with these values, for its principal to read and to sign."""
    return control.answer_as(
        Draft, "POST", f"/v1/templates/{segment(name)}/draft", body=body, seconds_max=seconds_max
    )


def draft_scheduled(control: Transport, name: str, *, seconds_max: float = WAIT_SECONDS_MAX) -> Draft:
    """The mandate that a schedule gives now, for its scheduler to sign."""
    return control.answer_as(Draft, "POST", f"/v1/schedules/{segment(name)}/draft", seconds_max=seconds_max)


def list_mandates(control: Transport, *, state: str | None = None) -> Iterator[Mandate]:
    """Mandates, newest first."""
    return items_of(control, Page[Mandate], "/v1/mandates", query=given(state=state))


def issue_mandate(control: Transport, body: Token, *, seconds_max: float = WAIT_SECONDS_MAX) -> Mandate:
    """Put a signed mandate into force."""
    return control.answer_as(Mandate, "POST", "/v1/mandates", body=body, seconds_max=seconds_max)


def show_mandate(control: Transport, id: str, *, seconds_max: float = READ_SECONDS_MAX) -> Mandate:
    """One mandate."""
    return control.answer_as(Mandate, "GET", f"/v1/mandates/{segment(id)}", seconds_max=seconds_max)


def close_mandate(control: Transport, id: str, *, seconds_max: float = WAIT_SECONDS_MAX) -> Mandate:
    """Close a mandate: the next action under it is refused."""
    return control.answer_as(Mandate, "POST", f"/v1/mandates/{segment(id)}/close", seconds_max=seconds_max)
