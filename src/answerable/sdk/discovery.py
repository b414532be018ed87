"""Discover which authorization server protects a resource, and its endpoints: RFC 9728 and RFC 8414.

Laws:
- metadata apply exactly to the resource or issuer whose URL they were read from, compared character by character (RFC
  9728, section 3.3; RFC 8414, section 3.3); metadata of any other are refused, and the search ends;
- a server can name metadata of its own origin only, and only a server on loopback can refer a client to loopback.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from answerable.errors import shown
from answerable.errors.codes.tokens import (
    DISCOVERY_ISSUER,
    DISCOVERY_MALFORMED,
    DISCOVERY_MISSING,
    DISCOVERY_ORIGIN,
    DISCOVERY_RESOURCE,
)
from answerable.sdk.oauth_http import checked_url, origin_of

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.sdk.oauth_http import Answer, OAuthHttp

RESOURCE_PATH: Final = "/.well-known/oauth-protected-resource"
SERVER_PATH: Final = "/.well-known/oauth-authorization-server"
OPENID_PATH: Final = "/.well-known/openid-configuration"
LIST_LENGTH_MAX: Final = 64
TEXT_CHARS_MAX: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMetadata:
    """Metadata of a protected resource. resource: the audience that tokens must have (RFC 8707). issuers: its
    authorization servers, in its own order."""

    resource: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    dpop_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """Metadata of an authorization server. dpop_algorithms: empty if the server states nothing about DPoP."""

    issuer: str
    token_endpoint: str
    dpop_algorithms: tuple[str, ...] = ()


async def resource_metadata(http: OAuthHttp, resource: str, *, named: str = "") -> ResourceMetadata:
    """Read the metadata of a resource. named: `resource_metadata` of its challenge; otherwise the well-known URLs are
    tried.

    At the root of the origin there may be metadata for all of it; then the token is for the origin. Raises Malformed
    (`url.malformed`), Unverified (step `discovery`: `discovery.resource`, `.origin`, `.insecure`, `.malformed`,
    `.missing`) and the exceptions of `OAuthHttp.document`.
    """
    origin, path = _split(checked_url(resource))
    if named:
        if origin_of(checked_url(named)) != origin:
            raise DISCOVERY_ORIGIN(f"{shown(resource)} names metadata of another origin: {shown(named)}")
        places: list[tuple[str, tuple[str, ...]]] = [(named, (resource,))]
    else:
        places = [(f"{origin}{RESOURCE_PATH}{path}", (resource,))]
        if path:
            places.append((origin + RESOURCE_PATH, (origin, f"{origin}/")))
    for url, expected in places:
        answer = await http.document(url)
        if answer is not None:
            return _resource(answer, expected)
    raise DISCOVERY_MISSING(f"{shown(resource)} publishes no metadata (RFC 9728)")


async def server_metadata(http: OAuthHttp, issuer: str, *, near: str = "") -> ServerMetadata:
    """Read the metadata of an authorization server. near: the resource that named it.

    Raises Malformed (`url.malformed`), Unverified (step `discovery`: `discovery.issuer`, `.insecure`, `.malformed`,
    `.missing`) and the exceptions of `OAuthHttp.document`.
    """
    origin, path = _split(checked_url(issuer, near=near))
    places = [f"{origin}{SERVER_PATH}{path}", f"{origin}{OPENID_PATH}{path}"]
    if path:
        places.append(f"{origin}{path}{OPENID_PATH}")
    for url in places:
        answer = await http.document(url)
        if answer is not None:
            return _server(answer, issuer)
    raise DISCOVERY_MISSING(f"{shown(issuer)} publishes no metadata (RFC 8414)")


def _split(url: str) -> tuple[str, str]:
    """Split a checked URL into origin and path; a lone slash is no path."""
    return origin_of(url), urlsplit(url).path.rstrip("/")


def _resource(answer: Answer, expected: tuple[str, ...]) -> ResourceMetadata:
    said = answer.text("resource")
    if said not in expected:
        raise DISCOVERY_RESOURCE(
            f"resource of the metadata is {shown(said)}, expected {shown(expected[0])}: no token is requested"
        )
    issuers = _texts(answer, "authorization_servers")
    if not issuers:
        raise DISCOVERY_MALFORMED(f"{shown(said)} names no authorization server")
    return ResourceMetadata(
        resource=said,
        issuers=issuers,
        scopes=_texts(answer, "scopes_supported"),
        dpop_required=answer.members.get("dpop_bound_access_tokens_required") is True,
    )


def _server(answer: Answer, issuer: str) -> ServerMetadata:
    said = answer.text("issuer")
    if said != issuer:
        raise DISCOVERY_ISSUER(
            f"issuer of the metadata is {shown(said)}, expected {shown(issuer)}: they are not used"
        )
    endpoint = answer.text("token_endpoint")
    if not endpoint:
        raise DISCOVERY_MALFORMED(f"{shown(issuer)} names no token endpoint")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=checked_url(endpoint, near=issuer),
        dpop_algorithms=_texts(answer, "dpop_signing_alg_values_supported"),
    )


def _texts(answer: Answer, name: str) -> tuple[str, ...]:
    """Return a list of short texts; empty if it is absent."""
    value: JSONValue = answer.members.get(name, [])
    if not isinstance(value, list) or len(value) > LIST_LENGTH_MAX:
        raise DISCOVERY_MALFORMED(f"`{name}` is not a list of at most {LIST_LENGTH_MAX} texts")
    texts = tuple(one for one in value if isinstance(one, str) and len(one) <= TEXT_CHARS_MAX)
    if len(texts) != len(value):
        raise DISCOVERY_MALFORMED(f"`{name}` must hold only texts of at most {TEXT_CHARS_MAX} characters")
    return texts
