"""What a story leaves behind for the end of the demo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """title: as told. mandate: the id under which the ledger tells it again. told: what it must say."""

    title: str
    mandate: str
    told: tuple[str, ...] = ()
