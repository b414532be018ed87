"""Operations of the control API on the subject `drill`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.drill_answers import Drill, DrillRequest
from answerable.api.members import Page
from answerable.client.transport import WAIT_SECONDS_MAX, Transport, items_of


def run_drill(control: Transport, body: DrillRequest, *, seconds_max: float = WAIT_SECONDS_MAX) -> Drill:
    """Try out a stop, a revocation or a trace on a shadow of an agent or capability."""
    return control.answer_as(Drill, "POST", "/v1/drills", body=body, seconds_max=seconds_max)


def list_drills(control: Transport) -> Iterator[Drill]:
    """What came of drills, newest first."""
    return items_of(control, Page[Drill], "/v1/drills")
