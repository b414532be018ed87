"""Tell which user of this machine opened a loopback connection, by the kernel's tables of TCP sockets."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
TABLE_BYTES_MAX: Final = 2_097_152
"""Some 14,000 sockets."""
_ESTABLISHED: Final = b"01"
"""The only state in which a row has its user: what was closed meanwhile is shown as root's."""
_STATE, _USER = 3, 7


def user_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the user id of the process at the other end of a connection, by the addresses of both ends as a server
    sees them; None where it cannot be told, as for a client on another machine. Never raises."""
    try:
        ends = ip_address(client[0]), ip_address(server[0])
    except ValueError:
        return None
    if not all(map(_is_loopback, ends)):
        return None
    both = zip(_spelled(ends[0], client[1]), _spelled(ends[1], server[1]), strict=True)
    wanted = {f" {theirs} {ours} ".encode() for theirs, ours in both}
    for table in TABLES:
        try:
            with open(table, "rb") as opened:
                content = opened.read(TABLE_BYTES_MAX)
        except OSError:
            continue
        for one in wanted:
            start = content.find(one)
            if start >= 0:
                row = content[content.rfind(b"\n", 0, start) + 1 : content.find(b"\n", start)].split()
                return int(row[_USER]) if len(row) > _USER and row[_STATE] == _ESTABLISHED else None
    return None


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _spelled(address: IPv4Address | IPv6Address, port: int) -> tuple[str, str]:
    """Return an end as the tables spell it: words of 32 bits in the machine's order. A socket of IPv6 may hold an IPv4
    address, so that each address has two spellings."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    short = mapped or address
    whole = short if isinstance(short, IPv6Address) else IPv6Address(f"::ffff:{short}")
    return f"{_words(short.packed)}:{port:04X}", f"{_words(whole.packed)}:{port:04X}"


def _words(packed: bytes) -> str:
    step = 1 if sys.byteorder == "big" else -1
    return "".join(packed[at : at + 4][::step].hex().upper() for at in range(0, len(packed), 4))
