"""Text of others in a message, so that nothing of it is markup, a link or a mention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue


def plain(text: str) -> JSONValue:
    """A text object in which nothing is markup."""
    return {"type": "plain_text", "text": escaped(text), "emoji": False}


def escaped(text: str) -> str:
    """The three characters that mean something to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
