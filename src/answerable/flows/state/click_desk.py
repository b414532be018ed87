"""What clicks in a chat work with, put together by wiring: the chat, and what stands behind the buttons that are out.

What stands behind a button lives in this process alone: after a restart buttons of before answer nothing, and the link
beside them leads to our page as ever.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.core.approval.approval import ApprovalId
    from answerable.core.approval.chat_click import ChatAccount
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.ports.chat_clicks import ChatClicks
    from answerable.ports.entropy import Entropy

CHANNEL: Final = "slack"
"""The one channel on which a message may have buttons."""
OFFERS_MAX: Final = 20_000
"""Out at a time; past it those that went out first answer nothing any more."""
NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What one person was offered to answer by a click. action, rendering: hashes in hex. ends: of the question."""

    approval: ApprovalId
    action: str
    rendering: str
    person: PrincipalId
    account: ChatAccount
    ends: UnixMillis


@dataclass(slots=True, kw_only=True)
class ChatAnswerState:
    """chat: where the clicks come from. Nonces are kept as their digests: what is looked up tells nothing of others."""

    chat: ChatClicks
    _offers: OrderedDict[bytes, Offered] = field(default_factory=OrderedDict)

    def offer(self, offered: Offered, entropy: Entropy, now: UnixMillis) -> bytes:
        """A fresh nonce for one click of this person's account."""
        while self._offers and (len(self._offers) >= OFFERS_MAX or self._first().ends <= now):
            self._offers.popitem(last=False)
        nonce = entropy.bytes(NONCE_BYTES)
        self._offers[sha256(nonce).digest()] = offered
        return nonce

    def find(self, nonce: bytes, now: UnixMillis) -> Offered | None:
        """What was offered by this nonce, if it was not taken and its time is not over."""
        found = self._offers.get(sha256(nonce).digest())
        return found if found is not None and now < found.ends else None

    def take(self, nonce: bytes) -> None:
        """It answers nothing any more."""
        self._offers.pop(sha256(nonce).digest(), None)

    def _first(self) -> Offered:
        return next(iter(self._offers.values()))
