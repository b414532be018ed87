"""Escape text of others in a message, so that it contains no markup, link or mention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


def plain(text: str) -> JSONValue:
    """Return a text object without markup."""
    return {"type": "plain_text", "text": escaped(text), "emoji": False}


def escaped(text: str) -> str:
    """Escape the three characters with a meaning in Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
