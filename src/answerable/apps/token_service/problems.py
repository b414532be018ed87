"""Translate this product's errors into OAuth errors: status, `error` and description (RFC 6749, section 5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

DESCRIPTION_CHARS_MAX: Final = 500

_NAMED: Final = {
    "oauth.invalid_request": (400, "invalid_request"),
    "oauth.invalid_grant": (400, "invalid_grant"),
    "oauth.unsupported_grant_type": (400, "unsupported_grant_type"),
    "oauth.invalid_scope": (400, "invalid_scope"),
    "oauth.invalid_target": (400, "invalid_target"),
    "oauth.invalid_authorization_details": (400, "invalid_authorization_details"),
    "dpop.nonce": (400, "use_dpop_nonce"),
    "request.size": (413, "invalid_request"),
    "http.host": (421, "invalid_request"),
    "request.method": (405, "invalid_request"),
    "request.path_unknown": (404, "invalid_request"),
}


def problem_of(error: AnswerableError) -> tuple[int, dict[str, JSONValue]]:
    """Return the status and body. `answerable_code` carries this product's own code, which the reference explains."""
    status, name = _named(error)
    text = "".join(mark if " " <= mark <= "~" and mark not in '"\\' else "'" for mark in error.message)
    return status, {
        "error": name,
        "error_description": text[:DESCRIPTION_CHARS_MAX],
        "answerable_code": error.code,
    }


def _named(error: AnswerableError) -> tuple[int, str]:
    known = _NAMED.get(error.code)
    if known is not None:
        return known
    match error:
        case Unverified() if error.code.startswith("dpop."):
            return 400, "invalid_dpop_proof"
        case Unverified() if error.code.startswith(("proof.", "svid.", "client.")):
            return 401, "invalid_client"
        case Unverified() | Refused():
            return 400, "invalid_grant"
        case Malformed():
            return 400, "invalid_request"
        case Unavailable():
            return 503, "temporarily_unavailable"
    return 500, "server_error"
