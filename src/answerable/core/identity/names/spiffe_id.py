"""Parse and build SPIFFE IDs, the names of running workloads (SPIFFE-ID standard, sections 2.1 to 2.4).

Laws: an id has one spelling; what the standard forbids (ports, user info, percent-encoding, dot segments, empty
segments) is refused, never corrected; scheme and trust domain compare without case and are stored in lower case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NewType

from answerable.errors import shown
from answerable.errors.codes.identity import (
    SPIFFE_ID_LENGTH,
    SPIFFE_ID_PATH,
    SPIFFE_ID_SCHEME,
    SPIFFE_ID_TRUST_DOMAIN,
)

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import AgentId

TrustDomain = NewType("TrustDomain", str)

SCHEME: Final = "spiffe://"
ID_BYTES_MAX: Final = 2048
TRUST_DOMAIN_BYTES_MAX: Final = 255
AGENT_PREFIX: Final = "/agent/"

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiffeId:
    """A SPIFFE ID, made by `spiffe_id` or `agent_instance_id`. path: empty for the trust domain itself, else `/a/b`."""

    trust_domain: TrustDomain
    path: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"


def trust_domain(name: str) -> TrustDomain:
    """Read the name of a trust domain. Raises Malformed (`spiffe_id.trust_domain`)."""
    if not _TRUST_DOMAIN.fullmatch(name):
        raise SPIFFE_ID_TRUST_DOMAIN(f"trust domain {shown(name)} is not 1 to 255 of a-z 0-9 . - _")
    return TrustDomain(name)


def spiffe_id(text: str) -> SpiffeId:
    """Read an id. Raises Malformed: `spiffe_id.scheme`, `.trust_domain`, `.path`, `.length`."""
    if len(text.encode("utf-8", "replace")) > ID_BYTES_MAX:
        raise SPIFFE_ID_LENGTH(f"a SPIFFE ID has at most {ID_BYTES_MAX} bytes")
    if text[: len(SCHEME)].lower() != SCHEME:
        raise SPIFFE_ID_SCHEME(f"{shown(text)} does not begin with `{SCHEME}`")
    name, slash, rest = text[len(SCHEME) :].partition("/")
    if not name.isascii():
        raise SPIFFE_ID_TRUST_DOMAIN(f"trust domain {shown(name)} is not ASCII")
    domain = trust_domain(name.lower())
    return SpiffeId(trust_domain=domain, path=_checked_path(slash + rest, text))


def agent_instance_id(domain: TrustDomain, agent: AgentId, instance: str, *, sub: str = "") -> SpiffeId:
    """Return the id of one running instance of an agent, or of one sub-agent in it: `/agent/NAME/INSTANCE[/SUB]`.

    Raises Malformed (`spiffe_id.path`, `spiffe_id.length`).
    """
    path = f"{AGENT_PREFIX}{agent}/{instance}" + (f"/{sub}" if sub else "")
    return spiffe_id(f"{SCHEME}{domain}{path}")


def _checked_path(path: str, text: str) -> str:
    if not path:
        return ""
    for segment in path[1:].split("/"):
        if segment in ("", ".", "..") or not _SEGMENT.fullmatch(segment):
            raise SPIFFE_ID_PATH(
                f"{shown(text)} has the path segment {shown(segment)}: use letters, digits, `.`, `-` and `_`"
            )
    return path
