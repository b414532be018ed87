"""Port: query a chat workspace about the account that clicked a message, and update or answer in that chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.approval.chat_click import ChatAccount
    from answerable.core.approval.message import Message


class ChatClicks(Protocol):
    """Promises: each call ends within a bounded time; only the configured chat is called, whatever a request contained;
    `standing` queries the chat on each call and caches nothing.

    Only `standing` raises, and only Unavailable (`chat.unreachable`).
    """

    async def standing(self, account: ChatAccount) -> str:
        """Return why this account cannot answer now (deleted, a bot, a guest or of another workspace), in words; empty
        where the chat says that it is an active full member. What the chat does not say counts against the account."""
        ...

    async def withdraw(self, message: Message, place: str, *, now: int) -> None:
        """Render a posted message anew from `message`. place: `CHANNEL:TS`. now: Unix milliseconds. Best effort."""
        ...

    async def whisper(self, text: str, account: ChatAccount, place: str) -> None:
        """Post a text visible only to this account, in the place where it clicked. Best effort."""
        ...
