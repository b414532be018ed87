"""The text beside a structured answer, for clients that show their model nothing else.

Laws: the text is the same JSON, whole (MCP 2025-06-18, Tools, structured content), or a sentence about it: never a part
of it that looks like all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_BYTES_MAX: Final = 131_072
"""Of the JSON. A longer one is in the structured content alone: it would count twice against what an answer may be."""

_encoder: Final = msgspec.json.Encoder()


def answer_text(content: Mapping[str, object], *, summary: str) -> str:
    """The text for this structured content. summary: says in words what it is, where it is too long."""
    told = _encoder.encode(content)
    if len(told) <= TEXT_BYTES_MAX:
        return told.decode()
    return f"{summary}, in the structured content: too long to stand here, too"
