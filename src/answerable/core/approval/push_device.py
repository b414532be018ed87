"""A device of a person that push messages go to: what its browser handed over (W3C Push API, RFC 8291).

Law: its address is at one of the hosts that settings list, over TLS, so that nobody can have this server call another
one by naming it as a device.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from answerable.core.base64url import to_base64url
from answerable.errors import shown
from answerable.errors.codes.approval import PUSH_DEVICE, PUSH_HOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.names.principal import PrincipalId, UnixMillis

ENDPOINT_CHARS_MAX: Final = 1_024
LABEL_CHARS_MAX: Final = 60
KEY_BYTES: Final = 65
"""Of a point on P-256, uncompressed."""
SECRET_BYTES: Final = 16
# Narrower than RFC 3986 on purpose: one spelling, nothing that some reader takes for another host.
_ENDPOINT: Final = re.compile(
    r"https://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[1-9][0-9]{0,4}))?/[A-Za-z0-9._~!$&*+,;=:%/?-]*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushDevice:
    """endpoint: where messages to it go. key: its public key, a point on P-256. secret: that goes into the key of each
    message; both are the browser's, for us alone. label: what its person calls it."""

    person: PrincipalId
    endpoint: str
    key: bytes
    secret: bytes
    label: str
    made_at: UnixMillis

    @property
    def id(self) -> str:
        """What it is known by: nothing of its address is in it."""
        return to_base64url(sha256(self.endpoint.encode()).digest()[:16])

    def __repr__(self) -> str:
        """Who has the endpoint may not write to it, but sees that it is there; the secret is one."""
        return f"PushDevice({self.id} of {self.person})"


def check_device(device: PushDevice, hosts: Iterable[str]) -> None:
    """Raises Malformed (`push.device`) for what no browser hands over, Refused (`push.host`)."""
    if not 0 < len(device.label) <= LABEL_CHARS_MAX:
        raise PUSH_DEVICE(f"a name of a device has 1 to {LABEL_CHARS_MAX} characters")
    if len(device.secret) != SECRET_BYTES:
        raise PUSH_DEVICE(f"the secret of a device has {SECRET_BYTES} bytes")
    try:
        if len(device.key) != KEY_BYTES:
            raise ValueError
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), device.key)
    except ValueError:
        raise PUSH_DEVICE("the key of a device is no point on P-256") from None
    if not is_endpoint(device.endpoint, hosts):
        raise PUSH_HOST(
            f"{shown(_host(device.endpoint), 120)} is no push service that `channels.push_hosts` lists"
        )


def is_endpoint(endpoint: str, hosts: Iterable[str]) -> bool:
    """Whether it is an address over TLS at one of these hosts. hosts: `NAME`, `*.NAME` for all below, each with `:PORT`
    where it is not 443."""
    found = _ENDPOINT.fullmatch(endpoint) if len(endpoint) <= ENDPOINT_CHARS_MAX else None
    if found is None:
        return False
    host, port = found["host"], found["port"]
    named = host if port in (None, "443") else f"{host}:{port}"
    return any(
        named == one or (one.startswith("*.") and named.endswith(one[1:]) and len(named) > len(one) - 1)
        for one in hosts
    )


def _host(endpoint: str) -> str:
    found = _ENDPOINT.fullmatch(endpoint[:ENDPOINT_CHARS_MAX])
    return found["host"] if found is not None else "this"
