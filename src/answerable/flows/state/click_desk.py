"""State of answers by a click in a chat: the chat port, and the offers behind the buttons that are out.

Offers are stored only in this process. After a restart older buttons answer nothing; the link beside them to the
approval page still works.
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
"""The only channel whose messages may have buttons."""
OFFERS_MAX: Final = 20_000
"""Open offers at a time; when full, the oldest offers are dropped and their buttons answer nothing."""
NONCE_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An answer offered to one person by a button. `action`, `rendering`: hex hashes. `ends`: of the question."""

    approval: ApprovalId
    action: str
    rendering: str
    person: PrincipalId
    account: ChatAccount
    ends: UnixMillis


@dataclass(slots=True, kw_only=True)
class ChatAnswerState:
    """The offers behind the buttons of a chat.

    `chat`: source of the clicks. Nonces are stored as digests, so that a lookup reveals nothing of other nonces.
    """

    chat: ChatClicks
    _offers: OrderedDict[bytes, Offered] = field(default_factory=OrderedDict)

    def offer(self, offered: Offered, entropy: Entropy, now: UnixMillis) -> bytes:
        """Store an offer and return a fresh nonce for one click of this person's account."""
        while self._offers and (len(self._offers) >= OFFERS_MAX or self._first().ends <= now):
            self._offers.popitem(last=False)
        nonce = entropy.bytes(NONCE_BYTES)
        self._offers[sha256(nonce).digest()] = offered
        return nonce

    def find(self, nonce: bytes, now: UnixMillis) -> Offered | None:
        """Return the offer of this nonce, if it has not been taken and has not expired."""
        found = self._offers.get(sha256(nonce).digest())
        return found if found is not None and now < found.ends else None

    def take(self, nonce: bytes) -> None:
        """Remove the offer of this nonce."""
        self._offers.pop(sha256(nonce).digest(), None)

    def _first(self) -> Offered:
        return next(iter(self._offers.values()))
