"""Destinations of actions: a mail address, a host, or a name in a system, each in canonical spelling.

Laws: spellings of the same destination are normalised to one, and a destination that could be taken for another is
refused, not guessed; a list with one unreadable destination is unreadable as a whole; an action that names no
destination has an unknown one, which no rule treats as any destination.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import DESTINATION_INVALID, DESTINATION_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue

DestinationType = Literal["email", "host", "name"]
DESTINATION_TYPES: Final[tuple[DestinationType, ...]] = get_args(DestinationType)

DESTINATIONS_MAX: Final = 100
"""Most destinations of one action."""
BELOW: Final = "*."
"""Prefix of a domain that stands for every host below it."""
ARGUMENTS_MAX: Final = 16
"""Most arguments of one capability that name destinations."""

_HOST_CHARS_MAX: Final = 253
_URL_CHARS_MAX: Final = 2048
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*")
_NAME: Final = re.compile(r"[!-?A-~](?:[ -?A-~]{0,253}[!-?A-~])?")
_SCHEME: Final = re.compile(r"(https?|wss?)://", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::([0-9]{1,5}))?")
_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationMapping:
    """Which arguments of a capability name its destinations, or its fixed destination.

    type: `email` for addresses, `host` for hosts and URLs, `name` for anything else, compared as written. All empty:
    the capability declares no destination.
    """

    type: DestinationType | Literal[""] = ""
    arguments: tuple[str, ...] = ()
    fixed: str = ""


NO_DESTINATION: Final = DestinationMapping()


def normalised(kind: DestinationType, text: str) -> str:
    """Normalise a destination: an address, a host with its port unless that is the default one, or a name.

    Domains become lower-case. Raises Malformed (`destination.invalid`) for whatever could be read in two ways: other
    scripts, display names, lists, routes, userinfo, escapes, numbers that some readers take for IP addresses.
    """
    if not text.isascii() or not text.isprintable():
        raise _fault(text, "has characters outside printable ASCII: write names of other scripts as `xn--…`")
    match kind:
        case "email":
            local, at, domain = text.rpartition("@")
            if not at or not _LOCAL_PART.fullmatch(local) or len(local) > 64:
                raise _fault(text, "is not one mail address like `ada@example.com`")
            return f"{local}@{_domain(domain, text)}"
        case "host":
            return _host(text)
    if not _NAME.fullmatch(text):
        raise _fault(text, "is not a name of 1 to 255 characters without `@` and without spaces at its ends")
    return text


def checked_allowed(kind: DestinationType, text: str) -> str:
    """Check an entry of a mandate's allow-list: a normalised destination, or for mail a whole domain.

    Raises Malformed (`destination.invalid`) for anything else.
    """
    if kind == "email" and "@" not in text:
        try:
            found = _domain(text, text)
        except Malformed:
            raise _fault(
                text, "is neither a mail address like `ada@example.com` nor a domain like `example.com`"
            ) from None
    else:
        found = normalised(kind, text)
    if found != text:
        raise _fault(text, f"must be written {shown(found)}")
    return text


def admits(allowed: tuple[str, ...], destination: str) -> bool:
    """Whether a normalised destination is in the list, or lies in a mail domain of the list. Subdomains do not
    match."""
    return destination in allowed or destination.rpartition("@")[2] in allowed


def wider_names(kind: str, text: str) -> Iterator[str]:
    """Yield the text itself, and every class member that would include all destinations that the text stands for."""
    yield text
    if kind == "email":
        yield text.rpartition("@")[2]
    if kind == "host" and not text.startswith("["):
        rest = text.removeprefix(BELOW).partition(":")[0]
        while rest:
            if rest != text.partition(":")[0]:
                yield f"{BELOW}{rest}"
            rest = rest.partition(".")[2]


def destinations_of(
    mapping: DestinationMapping, arguments: Mapping[str, JSONValue], variables: Mapping[str, str]
) -> tuple[str, ...]:
    """Return every destination that an action names, normalised; empty if its capability declares none.

    variables: values that a URI template took from the target. Raises Malformed (`destination.invalid`,
    `destination.unknown`) if a destination cannot be read, or if the declared arguments name none.
    """
    if not mapping.type:
        return ()
    if mapping.fixed:
        return (mapping.fixed,)
    found: list[str] = []
    for name in mapping.arguments:
        value = variables.get(name, arguments.get(name))
        if value is None:
            continue
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str):
                message = f"argument {shown(name)} must name the destination, as text or a list of texts"
                raise DESTINATION_UNKNOWN(message)
            found.append(normalised(mapping.type, one))
            if len(found) > DESTINATIONS_MAX:
                raise DESTINATION_INVALID(f"expected at most {DESTINATIONS_MAX} destinations, got more")
    if not found:
        listed = ", ".join(f"`{name}`" for name in mapping.arguments)
        raise DESTINATION_UNKNOWN(f"the destination is missing: expected it in {listed}")
    return tuple(dict.fromkeys(found))


def _host(text: str) -> str:
    """Normalise the host of a bare authority, or of a URL; nothing before the path may hide another host."""
    if len(text) > _URL_CHARS_MAX or " " in text or "\\" in text:
        raise _fault(text, "is not a host or a URL")
    scheme = _SCHEME.match(text)
    # The authority ends at the first of these characters (RFC 3986, section 3.2).
    authority = re.split(r"[/?#]", text[scheme.end() :], maxsplit=1)[0] if scheme else text
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _fault(text, "is not a host or a URL")
    host = _ip_6(parts[1][1:-1], text) if parts[1].startswith("[") else _domain(parts[1], text)
    if parts[2] is None:
        return host
    port = int(parts[2])
    if not 0 < port <= 65_535 or parts[2] != str(port):
        raise _fault(text, "has an invalid port")
    usual = _PORTS[scheme[1].lower()] if scheme else None
    return host if port == usual else f"{host}:{port}"


def _domain(text: str, whole: str) -> str:
    """Normalise a DNS name or IPv4 address to lower case. Text that only some resolvers take for an address is
    refused."""
    lowered = text.lower()
    labels = lowered.split(".")
    if (
        not lowered
        or not lowered.isascii()
        or len(lowered) > _HOST_CHARS_MAX
        or not all(_LABEL.fullmatch(one) for one in labels)
    ):
        raise _fault(whole, "does not name a host")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(lowered))
        except ValueError:
            raise _fault(whole, "has a host that is a number, and not an IPv4 address") from None
    return lowered


def _ip_6(text: str, whole: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise _fault(whole, "has a host in brackets that is not an IPv6 address") from None
    return f"[{address.compressed}]"


def _fault(text: str, why: str) -> Malformed:
    return DESTINATION_INVALID(f"destination {shown(text)} {why}")
