"""Port: one channel, such as e-mail, chat or push, to send a person a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from answerable.core.approval.message import Message

SentState = Literal["taken", "later", "down", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Result of one attempt. state: `taken` when accepted; `later` for a temporary failure of this receiver, `down` for
    one of the channel, `never` for a permanent failure of this receiver. handle: the channel's id of the message. why:
    in our words, without any address. wait_seconds: the delay that the channel requested, if any."""

    state: SentState
    handle: str = ""
    why: str = ""
    wait_seconds: float = 0.0


class MessageChannel(Protocol):
    """Promises: sends the message's own texts, escaped so that nothing in them is a link or markup, cut to the
    channel's limits; one attempt ends within a bounded time; an attempt without an answer may have reached the receiver
    all the same, and is reported as `later` or `down`.

    Never raises.
    """

    @property
    def updates(self) -> bool:
        """Whether this channel tells the recipients of a question how it was resolved."""
        ...

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        """Send to one receiver. address: in the channel's form. handle: of the earlier message on the same subject,
        which this one updates or continues; empty for the first. now: Unix milliseconds."""
        ...
