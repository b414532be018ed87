"""Parse the hosts in a target's settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_HOST

HOSTS_MAX: Final = 1_000
PORT_MAX: Final = 65_535
_HOST: Final = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]{0,62})=(?P<address>[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9a-fA-F:.]{2,45}\])"
    r"(:(?P<port>[1-9][0-9]{0,4}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host. name: used in scopes, principals and pinned host keys. address, port: of its sshd."""

    name: str
    address: str
    port: int


def checked_host(text: str) -> Host:
    """Parse `NAME=ADDRESS` or `NAME=ADDRESS:PORT`; IPv6 in brackets. Raises Malformed (`target.host`)."""
    found = _HOST.fullmatch(text)
    port = int(found["port"] or 22) if found else 0
    if found is None or port > PORT_MAX:
        raise TARGET_HOST(
            f"{shown(text)} is no host: write NAME=ADDRESS or NAME=ADDRESS:PORT, the name in a-z 0-9 . -"
        )
    return Host(name=found["name"], address=found["address"].strip("[]"), port=port)


def source_fault(text: str) -> str:
    """Return the fault in a source address or network of certificates; empty for none."""
    try:
        ip_network(text)
    except ValueError:
        return f"{shown(text)} is no IP address and no network such as 192.0.2.0/24"
    return ""
