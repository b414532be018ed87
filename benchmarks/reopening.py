"""How long a log takes to open, in a process that has never seen it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from answerable.adapters.local_keys import open_key
from answerable.adapters.system import SystemClock
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.tlog.note import VerifierKey


def opened(log: str, keys: str) -> float:
    """The seconds it took. keys: where the log's key is."""
    key = open_key(Path(keys) / "log.jwk")
    start = time.perf_counter()
    TlogFilesLedger.open(
        Path(log),
        key=VerifierKey.ed25519("bench.example/walk", ed25519_public(key.public)),
        sign=key.sign,
        clock=SystemClock(),
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    print(opened(*sys.argv[1:]))
