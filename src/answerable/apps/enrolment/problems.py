"""From our errors to problem details (RFC 9457), as the control API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:answerable:error:"

_BRANCHES: Final[tuple[tuple[type[AnswerableError], int, str], ...]] = (
    (Malformed, 400, "The request cannot be read"),
    (Unverified, 401, "Identity, attestation or proof did not check"),
    (Refused, 403, "Not allowed"),
    (Unavailable, 503, "Something this needs is not available"),
    (Broken, 500, "An invariant fell"),
)
_STATUSES: Final = {
    "request.path_unknown": 404,
    "request.method": 405,
    "request.size": 413,
    "request.media_type": 415,
    "json.size": 413,
    "http.host": 421,
    "instance.duplicate": 409,
    "instance.key_taken": 409,
    "instance.key_differs": 409,
    "instance.too_often": 429,
    "workloads.pace": 429,
    "enrolment.busy": 503,
}


def problem_of(error: AnswerableError) -> tuple[int, dict[str, JSONValue]]:
    """Status and body. `code` is stable and repeated in `type`; the rest is for people."""
    status, title = next((status, title) for kind, status, title in _BRANCHES if isinstance(error, kind))
    status = _STATUSES.get(error.code, status)
    body: dict[str, JSONValue] = {
        "type": f"{TYPE_PREFIX}{error.code}",
        "title": title,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "branch": type(error).__name__.lower(),
    }
    match error:
        case Unverified(step=step):
            body["step"] = step
        case Refused(reasons=reasons):
            body["reasons"] = list(reasons)
        case Unavailable(port=port, effect=effect):
            body["port"] = port
            body["effect"] = effect
    return status, body
