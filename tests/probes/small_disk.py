"""What a house of tests takes of the disk."""

from __future__ import annotations

SEGMENT_BYTES = 4_194_304


def on_a_small_disk(settings: str) -> str:
    """Its ledger in files of 4 MiB where nothing else is said: what is filled ahead for each of hundreds of houses is
    128 MiB by default."""
    if "segment_bytes" in settings:
        return settings
    if "[ledger]\n" not in settings:
        return f"{settings}\n[ledger]\nsegment_bytes = {SEGMENT_BYTES}\n"
    return settings.replace("[ledger]\n", f"[ledger]\nsegment_bytes = {SEGMENT_BYTES}\n", 1)
