"""A key that signs events, made by the product once for each process of tests: making one takes 0.3 s."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from answerable.adapters.local_keys import open_or_create_event_key
from answerable.adapters.system import SystemEntropy


@cache
def event_key_pem() -> bytes:
    """As the product stores it."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "1.pem"
        open_or_create_event_key(place, entropy=SystemEntropy())
        return place.read_bytes()


def with_event_key(data: Path) -> None:
    """Have a data directory hold one before its server starts."""
    place = data / "keys" / "events" / "1.pem"
    if not place.exists():
        for folder in (place.parent.parent, place.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        place.touch(mode=0o600)
        place.write_bytes(event_key_pem())
