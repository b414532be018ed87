"""Evidence bundles."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from answerable.api.members import Component, Count, Texts


class EvidenceRequest(Component, frozen=True, kw_only=True):
    """Which entries to show, by index or by what they are about, and which fields to reveal."""

    entries: tuple[Count, ...]
    about: dict[str, str] | UnsetType = UNSET
    reveal: Texts
    replay: bool | UnsetType = UNSET


class Evidence(Component, frozen=True, kw_only=True):
    """A bundle. withheld: entries whose fields cannot be revealed."""

    bundle: Annotated[
        str, Meta(description="an evidence bundle", extra_json_schema={"contentEncoding": "base64"})
    ]
    origin: str
    size: Count
    entries: tuple[Count, ...]
    shown: Count
    withheld: tuple[Count, ...]
    witnessed: bool
