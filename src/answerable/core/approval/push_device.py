"""A person's device for push messages, as its browser registered it (W3C Push API, RFC 8291).

Law: its address is on one of the configured hosts, over TLS, so that nobody can make this server call another host by
registering it as a device.
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
"""Length of an uncompressed point on P-256."""
SECRET_BYTES: Final = 16
# Narrower than RFC 3986 on purpose: one spelling, and nothing that some parser reads as another host.
_ENDPOINT: Final = re.compile(
    r"https://(?P<host>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[1-9][0-9]{0,4}))?/[A-Za-z0-9._~!$&*+,;=:%/?-]*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushDevice:
    """A person's device that receives push messages. endpoint: the address for its messages. key: its public key, a
    point on P-256. secret: an input to the key of each message; the browser gave both to us alone. label: the person's
    name for it."""

    person: PrincipalId
    endpoint: str
    key: bytes
    secret: bytes
    label: str
    made_at: UnixMillis

    @property
    def id(self) -> str:
        """The device's id, which reveals nothing of its address."""
        return to_base64url(sha256(self.endpoint.encode()).digest()[:16])

    def __repr__(self) -> str:
        """The endpoint alone does not allow sending, but reveals that the device exists; the secret
        must stay secret."""
        return f"PushDevice({self.id} of {self.person})"


def check_device(device: PushDevice, hosts: Iterable[str]) -> None:
    """Check a device. Raises Malformed (`push.device`) for data that no browser sends, Refused (`push.host`)."""
    if not 0 < len(device.label) <= LABEL_CHARS_MAX:
        raise PUSH_DEVICE(f"the name of a device must have 1 to {LABEL_CHARS_MAX} characters")
    if len(device.secret) != SECRET_BYTES:
        raise PUSH_DEVICE(f"the secret of a device has {SECRET_BYTES} bytes")
    try:
        if len(device.key) != KEY_BYTES:
            raise ValueError
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), device.key)
    except ValueError:
        raise PUSH_DEVICE("the key of a device is not a point on P-256") from None
    if not is_endpoint(device.endpoint, hosts):
        raise PUSH_HOST(
            f"push service {shown(_host(device.endpoint), 120)} is not listed in `channels.push_hosts`"
        )


def is_endpoint(endpoint: str, hosts: Iterable[str]) -> bool:
    """Whether it is a TLS address on one of these hosts. hosts: `NAME`, or `*.NAME` for all subdomains, each with
    `:PORT` where it is not 443."""
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
