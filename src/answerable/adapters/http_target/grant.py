"""Build OAuth token requests and check the authorization server's answers. Pure.

Laws: a token is accepted only if it is a bearer token, is no wider than the request, and has a stated or configured
lifetime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.canonical import Limits, encode, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.tokens import OAUTH_ANSWER

if TYPE_CHECKING:
    from answerable.adapters.http_target.scope import HttpScope
    from answerable.core.canonical import JSONValue

Grant = Literal["client_credentials", "token_exchange", "refresh_token"]

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - RFC 8693, section 3
ANSWER_BYTES_MAX: Final = 65_536
TOKEN_CHARS_MAX: Final = 16_384
SECONDS_MAX: Final = 366 * 86_400

ERRORS: Final = frozenset(
    """
    access_denied invalid_authorization_details invalid_client invalid_dpop_proof invalid_grant invalid_request
    invalid_scope invalid_target server_error temporarily_unavailable unauthorized_client unsupported_grant_type
    unsupported_token_type use_dpop_nonce
    """.split()
)
"""Error codes of RFC 6749, section 5.2; RFC 7009, section 2.2.1; RFC 8707, section 2; RFC 9396, section 5; RFC 9449,
section 5."""

Form = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject of an exchanged token and the acting party (RFC 8693, section 2.1)."""

    token: str
    kind: str
    actor: str = ""
    actor_kind: str = ""

    def __repr__(self) -> str:
        return "Subject()"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """An accepted answer. seconds: the token's lifetime. refresh: the next refresh token; empty if it is unchanged."""

    token: str
    seconds: int
    refresh: str = ""

    def __repr__(self) -> str:
        return f"TokenAnswer({self.seconds} s)"


def token_form(grant: Grant, scope: HttpScope, *, subject: Subject | None = None, refresh: str = "") -> Form:
    """Return the form of a token request, without the client's authentication."""
    form: Form = [("grant_type", EXCHANGE if grant == "token_exchange" else grant)]
    if subject is not None:
        form += [("subject_token", subject.token), ("subject_token_type", subject.kind)]
        if subject.actor:
            form += [("actor_token", subject.actor), ("actor_token_type", subject.actor_kind)]
        form.append(("requested_token_type", ACCESS_TOKEN))
    if refresh:
        form.append(("refresh_token", refresh))
    if scope.scopes:
        form.append(("scope", " ".join(scope.scopes)))
    if scope.audience:
        form.append(("audience", scope.audience))
    form += [("resource", one) for one in scope.resources]
    if scope.details:
        form.append(("authorization_details", scope.details))
    return form


def token_answer(body: bytes, scope: HttpScope, *, seconds_max: int) -> TokenAnswer:
    """Return the token of an answer with status 200. seconds_max: lifetime to assume if the server states none. Raises
    Malformed (`oauth.answer`) with the reason; `token_in` can still extract the token to revoke it."""
    said = _object(body)
    token = said.get("access_token")
    if not isinstance(token, str) or not _is_token(token):
        raise _odd("it has no `access_token`")
    if str(said.get("token_type", "")).lower() != "bearer":
        raise _odd("the token is no bearer token")
    granted = said.get("scope")
    if granted is not None and (
        not isinstance(granted, str) or not set(granted.split(" ")) - {""} <= set(scope.scopes)
    ):
        raise _odd("it grants more scopes than were asked for: narrow what its client may have")
    details = said.get("authorization_details")
    if details is not None:
        asked = {encode(one) for one in _list(parse(scope.details.encode()) if scope.details else [])}
        if not {encode(one) for one in _list(details)} <= asked:
            raise _odd("it grants authorization details that were not asked for")
    seconds = said.get("expires_in", seconds_max)
    if type(seconds) is not int or not 0 < seconds <= SECONDS_MAX:
        raise _odd("it does not say how long the token lives: set `token_seconds_max`")
    refresh = said.get("refresh_token", "")
    if not isinstance(refresh, str) or (refresh and not _is_token(refresh)):
        raise _odd("its `refresh_token` is no token")
    return TokenAnswer(token=token, seconds=seconds, refresh=refresh)


def token_in(body: bytes, name: str = "access_token") -> str:
    """Return the token of a rejected answer, so that it can be revoked; empty for none."""
    try:
        token = _object(body).get(name)
    except Malformed:
        return ""
    return token if isinstance(token, str) and _is_token(token) else ""


def error_in(body: bytes) -> str:
    """Return the error code if it is a standard one; empty for none. The rest of an error answer is dropped: it may
    echo what was sent, including our secret."""
    try:
        code = _object(body).get("error")
    except Malformed:
        return ""
    return code if isinstance(code, str) and code in ERRORS else ""


def granted_in(body: bytes) -> tuple[str, ...]:
    """Return the rights in an introspection answer (RFC 7662); empty for an inactive token."""
    said = _object(body)
    if said.get("active") is not True:
        return ()
    scope, audience = said.get("scope"), said.get("aud")
    found = [f"scope {one}" for one in scope.split()] if isinstance(scope, str) else []
    for one in audience if isinstance(audience, list) else [audience]:
        if isinstance(one, str):
            found.append(f"audience {one}")
    details = said.get("authorization_details")
    if details is not None:
        found += [f"detail {encode(one).decode()}" for one in _list(details)]
    return tuple(sorted(found)) or ("active",)


def _object(body: bytes) -> dict[str, JSONValue]:
    try:
        said = parse(body, limits=Limits(size_bytes_max=ANSWER_BYTES_MAX, depth_max=16))
    except Malformed:
        said = None
    if not isinstance(said, dict):
        raise _odd("it is no JSON object")
    return dict(said)


def _list(value: JSONValue) -> list[JSONValue]:
    return value if isinstance(value, list) else [value]


def _is_token(text: str) -> bool:
    """Whether the text can be a token. Less strict than RFC 6750, section 2.1: only what could break a header value is
    refused."""
    return 0 < len(text) <= TOKEN_CHARS_MAX and text.isascii() and text.isprintable() and " " not in text


def _odd(what: str) -> Malformed:
    return OAUTH_ANSWER(f"the authorization server's answer is not valid: {shown(what)[1:-1]}")
