"""Translate this product's errors into the control API's problem details (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.wiring.problem_details import problem_details

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.errors import AnswerableError

_STATUSES: Final = {
    "mandate.duplicate": 409,
    "approval.changed_meanwhile": 409,
    "approval.not_pending": 409,
    "approval.answered_already": 409,
    "hold.ambiguous": 409,
    "hold.agreed_already": 409,
    "hold.changed_meanwhile": 409,
    "hold.lifted_already": 409,
}
_UNKNOWN_SUFFIX: Final = ".unknown"


def problem_of(error: AnswerableError) -> tuple[int, dict[str, JSONValue]]:
    """Return the status and body, as `problem_details`; an unknown name is 404."""
    unknown = {error.code: 404} if error.code.endswith(_UNKNOWN_SUFFIX) else {}
    return problem_details(error, _STATUSES | unknown)
