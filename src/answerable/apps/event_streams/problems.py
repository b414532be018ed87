"""Translate this product's errors into status and body: `err` and `description` as in RFC 8935 and RFC 8936."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

DESCRIPTION_CHARS_MAX: Final = 500
_STATUS: Final = {
    "event_stream.unknown": 404,
    "event_stream.count": 409,
    "event_stream.too_often": 429,
    "event_stream.full": 429,
    "request.path_unknown": 404,
    "request.method": 405,
    "request.size": 413,
    "http.host": 421,
}


def problem_of(error: AnswerableError) -> tuple[int, dict[str, JSONValue]]:
    """Return the status and body. `answerable_code` carries this product's own code, which the reference explains."""
    status, name = _named(error)
    return _STATUS.get(error.code, status), {
        "err": name,
        "description": error.message[:DESCRIPTION_CHARS_MAX],
        "answerable_code": error.code,
    }


def _named(error: AnswerableError) -> tuple[int, str]:
    match error:
        case Malformed():
            return 400, "invalid_request"
        case Unverified():
            return 401, "authentication_failed"
        case Refused():
            return 403, "access_denied"
        case Unavailable():
            return 503, "temporarily_unavailable"
    return 500, "server_error"
