"""SPIFFE Federation: configure the sources of foreign trust domains' bundles, schedule their refresh, and order
bundles.

Laws: the trust domain of a bundle is the configured one, never one that a document or a server names; a source serves
one domain and a domain has one source; our own domain has none; a bundle is never replaced by an older one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeGuard

from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain, spiffe_id, trust_domain
from answerable.errors import Unavailable, UnavailableCode, shown
from answerable.errors.codes.identity import (
    BUNDLE_SEQUENCE_UNVERIFIED,
    FEDERATION_COUNT,
    FEDERATION_DUPLICATE,
    FEDERATION_ENDPOINT_ID,
    FEDERATION_OWN,
    FEDERATION_PROFILE,
    FEDERATION_SOCKET,
    FEDERATION_SOURCE,
    FEDERATION_URL,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.svid.trust_bundle import TrustBundle

Profile = Literal["https_web", "https_spiffe", "workload_api", "file"]
PROFILES: Final[tuple[Profile, ...]] = ("https_web", "https_spiffe", "workload_api", "file")

REFRESH_SECONDS_DEFAULT: Final = 300
"""Interval for a bundle without refresh hint (SPIFFE Federation, section 4.1)."""
REFRESH_SECONDS_MIN: Final = 10
REFRESH_SECONDS_MAX: Final = 86_400
FIRST_RETRY_SECONDS: Final = 10
"""Interval after the first failure while no bundle is known; doubled up to the default interval."""
JITTER: Final = 0.1
"""Largest fraction by which an interval is shortened, so that processes that started together spread out."""
STALE_SECONDS_MAX: Final = 259_200
"""A bundle that could not be refreshed for this long is no longer trusted: keys may have been withdrawn since."""
SOURCES_MAX: Final = 256
URL_CHARS_MAX: Final = 2048

# Scheme, host (a name, an IPv4 address, or an IPv6 address in brackets), port; then printable ASCII without a
# backslash, which some parsers take for a slash.
_ENDPOINT_URL: Final = re.compile(
    r"https://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{0,4})?(?:[/?#][!-\[\]-~]*)?"
)
_SOCKET: Final = re.compile(r"unix:///[!-~]+|tcp://(?:[0-9.]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationSource:
    """The source of one trust domain's bundle; made by `federation_source`.

    address: URL of the endpoint, `unix:///path` or `tcp://ip:port` of a Workload API, or path of a file. endpoint_id:
    for https_spiffe, the SPIFFE ID that the server must have. file: path of the CA certificates for https_web (PEM;
    empty for the system's), or of the bundle for the first contact of https_spiffe; empty without one.
    """

    trust_domain: TrustDomain
    profile: Profile
    address: str
    endpoint_id: SpiffeId | None = None
    file: str = ""


def federation_source(text: str) -> FederationSource:
    """Read one setting. Raises Malformed: `federation.*`, `spiffe_id.*`.

    Forms: `TD https_web URL [CA-FILE]`, `TD https_spiffe URL SPIFFE-ID [BUNDLE-FILE]`, `TD workload_api unix:///SOCKET`
    or `TD file PATH`.
    """
    words = text.split()
    if len(words) < 3:
        raise FEDERATION_SOURCE(f"{shown(text)} is not `TRUST-DOMAIN PROFILE ADDRESS [SPIFFE-ID] [FILE]`")
    name, profile, address, *rest = words
    domain = trust_domain(name)
    if not _is_profile(profile):
        raise FEDERATION_PROFILE(f"profile is {shown(profile)}, expected one of {', '.join(PROFILES)}")
    endpoint = None
    if profile == "https_spiffe":
        if not rest:
            raise FEDERATION_ENDPOINT_ID(f"the endpoint of {shown(name)} needs the SPIFFE ID of its server")
        endpoint = _workload_id(rest.pop(0))
    if profile in ("https_web", "https_spiffe"):
        check_endpoint_url(address)
    elif profile == "workload_api":
        check_socket(address)
    if len(rest) > (1 if profile in ("https_web", "https_spiffe") else 0):
        raise FEDERATION_SOURCE(f"{shown(text)} has too many words for {profile}")
    return FederationSource(
        trust_domain=domain,
        profile=profile,
        address=address,
        endpoint_id=endpoint,
        file=rest[0] if rest else "",
    )


def federation_sources(texts: Iterable[str], *, own: TrustDomain) -> tuple[FederationSource, ...]:
    """Read all settings together. Raises Malformed as `federation_source`, and `federation.own`, `.duplicate`,
    `.count`."""
    sources = tuple(federation_source(text) for text in texts)
    if len(sources) > SOURCES_MAX:
        raise FEDERATION_COUNT(f"{len(sources)} foreign trust domains, at most {SOURCES_MAX}")
    seen: set[TrustDomain] = set()
    for source in sources:
        if source.trust_domain == own:
            raise FEDERATION_OWN(
                f"{shown(own)} is the trust domain of this server: it needs no foreign bundle"
            )
        if source.trust_domain in seen:
            raise FEDERATION_DUPLICATE(f"{shown(source.trust_domain)} has two sources")
        seen.add(source.trust_domain)
    return sources


def check_endpoint_url(url: str) -> None:
    """Check an endpoint URL (sections 5.2.1.1 and 5.2.2.1): `https`, no user info. Raises Malformed
    (`federation.url`)."""
    if len(url) > URL_CHARS_MAX or not _ENDPOINT_URL.fullmatch(url):
        raise FEDERATION_URL(
            f"a bundle endpoint is `https://HOST[:PORT]/PATH` without user info, not {shown(url)}"
        )


def successor(known: TrustBundle | None, fetched: TrustBundle) -> TrustBundle:
    """Return the fetched bundle as the one to use. Raises Unverified (`bundle.sequence`) if it is older than the known
    one.

    Section 4.2: the sequence orders bundles; if either has none, the later fetch counts. An equal sequence does not
    block a change: the withdrawal of a key must not wait for the publisher's counter.
    """
    if known is None or known.sequence is None or fetched.sequence is None:
        return fetched
    if fetched.sequence < known.sequence:
        raise BUNDLE_SEQUENCE_UNVERIFIED(
            f"the bundle of {shown(fetched.trust_domain)} went back from sequence {known.sequence} to "
            f"{fetched.sequence}"
        )
    return fetched


def refresh_seconds(bundle: TrustBundle | None) -> int:
    """Return the seconds until the next refresh: the hint within its bounds, or the default."""
    hint = bundle.refresh_hint if bundle is not None else None
    if hint is None or hint <= 0:
        return REFRESH_SECONDS_DEFAULT
    return min(max(hint, REFRESH_SECONDS_MIN), REFRESH_SECONDS_MAX)


def retry_seconds(known: TrustBundle | None, failures: int) -> int:
    """Return the seconds to wait after so many consecutive failures.

    With a known bundle, exactly its interval: not less, so that a failing endpoint is not overloaded (section 6.2), and
    not more, so that withdrawn keys are noticed. Without one, 10 seconds, doubling up to the default interval.
    """
    if known is not None:
        return refresh_seconds(known)
    return int(min(FIRST_RETRY_SECONDS * 2 ** min(max(failures - 1, 0), 16), REFRESH_SECONDS_DEFAULT))


def jittered(seconds: float, chance: bytes) -> float:
    """Shorten an interval by up to a tenth. chance: two random bytes."""
    return seconds * (1 - JITTER * int.from_bytes(chance[:2], "big") / 0xFFFF)


def bundle_unavailable(domain: TrustDomain, why: str, *, code: UnavailableCode) -> Unavailable:
    """Return the error that every source of bundles raises; operators read `why`."""
    return code(f"bundle of {shown(domain)}: {why}")


def _workload_id(text: str) -> SpiffeId:
    read = spiffe_id(text)
    if not read.path:
        raise FEDERATION_ENDPOINT_ID(
            f"{shown(text)} names a trust domain, and a server needs the SPIFFE ID of a workload"
        )
    return read


def check_socket(address: str) -> None:
    """Check the address of a Workload API (SPIFFE Workload Endpoint, section 4): a Unix socket without authority, or an
    IP address and a port.

    Raises Malformed (`federation.socket`).
    """
    if not _SOCKET.fullmatch(address):
        raise FEDERATION_SOCKET(f"a Workload API is `unix:///PATH` or `tcp://IP:PORT`, not {shown(address)}")


def _is_profile(text: str) -> TypeGuard[Profile]:
    return text in PROFILES
