"""Translate this product's errors into problem details (RFC 9457); each endpoint adds the statuses of its own codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:answerable:error:"

_BRANCHES: Final[tuple[tuple[type[AnswerableError], int, str], ...]] = (
    (Malformed, 400, "The request cannot be read"),
    (Unverified, 401, "Identity, mandate or proof did not check"),
    (Refused, 403, "Not allowed"),
    (Unavailable, 503, "Something this needs is not available"),
    (Broken, 500, "An invariant fell"),
)
# Codes whose status is more specific than their branch's.
_STATUSES: Final = {
    "request.path_unknown": 404,
    "request.method": 405,
    "request.size": 413,
    "request.media_type": 415,
    "json.size": 413,
}


def problem_details(error: AnswerableError, statuses: Mapping[str, int]) -> tuple[int, dict[str, JSONValue]]:
    """Return the status and body. `code` is stable and repeated in `type`; the rest is human-readable.

    statuses: of the endpoint's own codes, where more specific than the branch.
    """
    status, title = next((status, title) for kind, status, title in _BRANCHES if isinstance(error, kind))
    status = statuses.get(error.code) or _STATUSES.get(error.code, status)
    body: dict[str, JSONValue] = {
        "type": f"{TYPE_PREFIX}{error.code}",
        "title": title,
        "status": status,
        "detail": error.message,
        "code": error.code,
        "branch": type(error).__name__.lower(),
        "reasons": [error.message],
        "effect": error.effect,
        "retry": error.retry,
    }
    match error:
        case Unverified(step=step):
            body["step"] = step
        case Refused(reasons=reasons, entry_index=entry_index, denial=denial):
            body["reasons"] = list(reasons)
            body["entry_index"] = entry_index
            if denial is not None:
                body["denial"] = cast("JSONValue", {**denial})
        case Unavailable(port=port):
            body["port"] = port
    return status, body
