"""Build the text form of a structured tool answer, for clients that show their model only text.

Laws: the text is the same JSON, complete (MCP 2025-06-18, Tools, structured content), or a sentence about it: never a
part of it that looks complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_BYTES_MAX: Final = 131_072
"""Limit of the JSON text. A longer one is only in the structured content: it would count twice against the limit of an
answer."""

_encoder: Final = msgspec.json.Encoder()


def answer_text(content: Mapping[str, object], *, summary: str) -> str:
    """Return the text for this structured content. summary: describes the content in words, used where the JSON is too
    long."""
    told = _encoder.encode(content)
    if len(told) <= TEXT_BYTES_MAX:
        return told.decode()
    return f"{summary}, in the structured content: too long to stand here, too"
