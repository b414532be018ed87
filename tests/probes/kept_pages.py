"""Memory that forked processes share with the one that they are forked from, for as long as they only read it.

What was read before a fork is kept for good: a use of it does not count, so the page of the count is not copied. And
memory is in large pages, of which a fork copies few entries. Together, a command took a fifth less.
"""

from __future__ import annotations

import ctypes
import gc
import sqlite3
import ssl
import sys
from contextlib import closing
from pathlib import Path

MADV_COLLAPSE = 25
LARGE_BYTES = 2 << 20
AT_ONCE = 10_000


def keep(*, for_many: bool) -> None:
    """Everything that this process has read. for_many: the rest, too, beside what the collector would look through.
    Where Python or the kernel knows no such thing, nothing happens. What a process was forked with and is kept is left
    as it is: large pages that it shares would be copied."""
    for_many = for_many and not gc.get_freeze_count()
    if for_many:
        _use_libraries()
    gc.collect()
    if for_many and sys.version_info >= (3, 12):
        _keep_objects()
    gc.freeze()
    if for_many:
        _join_pages()


def _use_libraries() -> None:
    """Libraries in C and Rust make much when they are first used."""
    import cedarpy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE one (two INTEGER)").fetchone()
    key = Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b""), b"")
    cedarpy.policies_to_json_str("permit(principal, action, resource);")


def _keep_objects() -> None:
    """Have each object that can be found counted as None is: not at all (PEP 683)."""
    counted_at = ctypes.c_uint32.from_address
    mark = counted_at(id(None)).value
    new = gc.get_objects()
    while new:
        found = []
        for at in range(0, len(new), AT_ONCE):
            for one in gc.get_referents(*new[at : at + AT_ONCE]):
                count = counted_at(id(one))
                if count.value != mark:
                    count.value = mark
                    found.append(one)
        new = found


def _join_pages() -> None:
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, _, _, file, *name = line.split()
        if rights == "rw-p" and file == "0" and name in ([], ["[heap]"]):
            start, end = (int(one, 16) for one in place.split("-"))
            for at in range(-(-start // LARGE_BYTES) * LARGE_BYTES, end - LARGE_BYTES + 1, LARGE_BYTES):
                libc.madvise(at, LARGE_BYTES, MADV_COLLAPSE)
