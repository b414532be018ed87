"""Port: what is asked of a chat when somebody clicked in it, and told there because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.approval.chat_click import ChatAccount
    from answerable.core.approval.message import Message


class ChatClicks(Protocol):
    """Promises: each call ends within a bounded time; only the chat that settings name is asked, whatever stood in a
    request; `standing` is asked of the chat each time, and nothing of an earlier answer is kept.

    Only `standing` raises, and only Unavailable (`chat.unreachable`).
    """

    async def standing(self, account: ChatAccount) -> str:
        """Why this account cannot answer now: it is gone, a program's, a guest's or of another workspace, in words;
        empty where the chat says that it is a full member's. What the chat does not say counts against it."""
        ...

    async def withdraw(self, message: Message, place: str, *, now: int) -> None:
        """Draw a message anew, as it is here. place: `CHANNEL:TS`. now: Unix milliseconds. Best effort."""
        ...

    async def whisper(self, text: str, account: ChatAccount, place: str) -> None:
        """Say something that nobody but this account sees, where it clicked. Best effort."""
        ...
