"""The wall clock of one server, and of nobody else: the clock that never goes back stays as it is."""

from __future__ import annotations

import time
from pathlib import Path

from tests.loud_skips import skip_loudly

CACHED_SECONDS = 1


class Wall:
    """place: the file that says how far it is off. is_read_seldom: once in CACHED_SECONDS and not each time, which is
    much cheaper; setting it waits for that."""

    def __init__(self, place: Path, *, is_read_seldom: bool = False) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            skip_loudly("faketime", "apt-get install faketime", name="faketime")
        self._place, self._seldom = place, is_read_seldom
        self._write(0)
        cached = (
            {"FAKETIME_CACHE_DURATION": str(CACHED_SECONDS)} if is_read_seldom else {"FAKETIME_NO_CACHE": "1"}
        )
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(place),
            "FAKETIME_DISABLE_SHM": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            **cached,
        }

    def set(self, seconds: int) -> None:
        """To so many seconds from what it really is."""
        self._write(seconds)
        if self._seldom:
            time.sleep(CACHED_SECONDS + 1)

    def _write(self, seconds: int) -> None:
        fresh = self._place.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._place)
