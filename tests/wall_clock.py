"""The wall clock of one server, and of nobody else: the clock that never goes back stays as it is."""

from __future__ import annotations

from pathlib import Path

from tests.loud_skips import skip_loudly


class Wall:
    def __init__(self, place: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            skip_loudly("faketime", "apt-get install faketime", name="faketime")
        self._place = place
        self.set(0)
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(place),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """To so many seconds from what it really is."""
        fresh = self._place.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._place)
