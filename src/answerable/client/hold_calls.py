"""Operations of the control API on the subject `hold`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.hold_answers import ContainmentReport, Hold, Lift, Stop, StopRequest
from answerable.api.members import Page
from answerable.client.transport import (
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def stop(control: Transport, body: StopRequest, *, seconds_max: float = WAIT_SECONDS_MAX) -> Stop:
    """Hold what is called so: nothing is started within its reach until it is lifted or has run out."""
    return control.answer_as(Stop, "POST", "/v1/holds", body=body, seconds_max=seconds_max)


def list_holds(control: Transport, *, state: str | None = None) -> Iterator[Hold]:
    """Holds, newest first."""
    return items_of(control, Page[Hold], "/v1/holds", query=given(state=state))


def show_hold(control: Transport, id: str, *, seconds_max: float = READ_SECONDS_MAX) -> Hold:
    """One hold, with what a person signs to lift it."""
    return control.answer_as(Hold, "GET", f"/v1/holds/{segment(id)}", seconds_max=seconds_max)


def lift_hold(control: Transport, id: str, body: Lift, *, seconds_max: float = WAIT_SECONDS_MAX) -> Hold:
    """A person's signed lift of a hold."""
    return control.answer_as(
        Hold, "POST", f"/v1/holds/{segment(id)}/lift", body=body, seconds_max=seconds_max
    )


def show_containment(
    control: Transport, id: str, *, seconds_max: float = READ_SECONDS_MAX
) -> ContainmentReport:
    """What a hold stopped, what it came too late for, and what it could not stop."""
    return control.answer_as(
        ContainmentReport, "GET", f"/v1/holds/{segment(id)}/report", seconds_max=seconds_max
    )
