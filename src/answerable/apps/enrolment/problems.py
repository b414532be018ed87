"""Translate this product's errors into problem details, in the same form as the control API's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.wiring.problem_details import problem_details

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.errors import AnswerableError

_STATUSES: Final = {
    "http.host": 421,
    "instance.duplicate": 409,
    "instance.key_taken": 409,
    "instance.key_differs": 409,
    "instance.too_often": 429,
    "workloads.pace": 429,
    "enrolment.busy": 503,
}


def problem_of(error: AnswerableError) -> tuple[int, dict[str, JSONValue]]:
    """Return the status and body, as `problem_details`."""
    return problem_details(error, _STATUSES)
