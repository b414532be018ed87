"""Parse the scope of an HTTP lease: the parameters of the token request and the rules for allowed requests.

Laws: an unknown member is a fault; the token request must be narrowed, so that no server falls back on all rights of
its client; texts are checked by the grammars of RFC 6749 (scopes), RFC 8707 (resources) and RFC 9396 (details).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.core.canonical import encode
from answerable.core.lease.requests import rule_faults, rules_of
from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON, JSONValue
    from answerable.core.lease.requests import RequestRule

SCOPES_MAX: Final = 64
RESOURCES_MAX: Final = 8
DETAILS_MAX: Final = 16
DETAILS_BYTES_MAX: Final = 8_192
TEXT_CHARS_MAX: Final = 512

_TOKEN_MEMBERS: Final = frozenset({"scopes", "audience", "resource", "authorization_details"})
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
"""A scope token of RFC 6749, section 3.3. It contains no blank, so one text is never two scopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpScope:
    """A parsed scope, made by `http_scope`. details: canonical JSON of `authorization_details`; empty for none."""

    rules: tuple[RequestRule, ...]
    scopes: tuple[str, ...] = ()
    audience: str = ""
    resources: tuple[str, ...] = ()
    details: str = ""


def http_scope(scope: FrozenJSON, *, tokens: bool) -> HttpScope:
    """Parse a scope. tokens: whether an authorization server narrows the credential. Raises Refused (`lease.scope`)
    with all faults."""
    if faults := scope_faults(scope, tokens=tokens):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    said = scope.thaw()
    assert isinstance(said, dict)  # noqa: S101 - without faults it is one
    details = said.get("authorization_details")
    return HttpScope(
        rules=rules_of(said["requests"]),
        scopes=tuple(sorted(set(_texts(said.get("scopes"))))),
        audience=str(said.get("audience", "")),
        resources=_texts(said.get("resource")),
        details=encode(details).decode() if details else "",
    )


def scope_faults(scope: FrozenJSON, *, tokens: bool) -> tuple[str, ...]:
    """Return the faults of a scope; empty if it is valid."""
    said = scope.thaw()
    if not isinstance(said, dict):
        return ("a scope of an HTTP target is an object with `requests`",)
    known = {"requests"} | (_TOKEN_MEMBERS if tokens else frozenset())
    faults = [
        f"unknown member {shown(name)}"
        + ("" if tokens or name not in _TOKEN_MEMBERS else ": a standing key is narrowed by `requests` alone")
        for name in sorted(said.keys() - known)
    ]
    faults += rule_faults(said.get("requests"))
    if tokens:
        faults += _token_faults(said)
    return tuple(faults)


def _token_faults(said: dict[str, JSONValue]) -> list[str]:
    faults: list[str] = []
    scopes, details = said.get("scopes"), said.get("authorization_details")
    if scopes is None and details is None:
        faults.append("`scopes` or `authorization_details` says what the token is for")
    if scopes is not None and (
        not isinstance(scopes, list)
        or not 1 <= len(scopes) <= SCOPES_MAX
        or not all(isinstance(one, str) and _SCOPE.fullmatch(one) for one in scopes)
    ):
        faults.append(f"`scopes` is a list of 1 to {SCOPES_MAX} scopes, without blanks and quotes")
    audience = said.get("audience", "a")
    if (
        not isinstance(audience, str)
        or not 1 <= len(audience) <= TEXT_CHARS_MAX
        or not audience.isprintable()
    ):
        faults.append(f"`audience` is a text of 1 to {TEXT_CHARS_MAX} printable characters")
    resource = said.get("resource", [])
    if (
        not isinstance(resource, list)
        or len(resource) > RESOURCES_MAX
        or not all(map(_is_resource, resource))
    ):
        faults.append(f"`resource` is a list of at most {RESOURCES_MAX} absolute URIs without fragment")
    if details is not None and not _are_details(details):
        faults.append(
            f"`authorization_details` is a list of 1 to {DETAILS_MAX} objects with a `type`, of at most "
            f"{DETAILS_BYTES_MAX} bytes"
        )
    return faults


def _is_resource(resource: JSONValue) -> bool:
    if not isinstance(resource, str) or len(resource) > TEXT_CHARS_MAX or not resource.isascii():
        return False
    if not resource.isprintable() or " " in resource or "#" in resource:
        return False
    try:
        return bool(urlsplit(resource).scheme)
    except ValueError:
        return False


def _are_details(details: JSONValue) -> bool:
    return (
        isinstance(details, list)
        and 1 <= len(details) <= DETAILS_MAX
        and all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in details)
        and len(encode(details)) <= DETAILS_BYTES_MAX
    )


def _texts(value: JSONValue) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()
