"""Port: one way to reach a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from answerable.core.approval.message import Message

SentState = Literal["taken", "later", "down", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How one try went. state: `taken` by the other side; `later` for this receiver, `down` for every one, or `never`
    for this receiver. handle: what the channel calls the message. why: in our words, without any address. wait_seconds:
    how long the other side asked for, if it did."""

    state: SentState
    handle: str = ""
    why: str = ""
    wait_seconds: float = 0.0


class MessageChannel(Protocol):
    """Promises: what is sent is the message's own texts, escaped so that nothing in them is a link or markup, cut to
    what the channel takes; one try ends within a bounded time; a try that ended without an answer may have reached the
    receiver all the same, and is told so as `later` or `down`.

    Never raises.
    """

    @property
    def updates(self) -> bool:
        """Whether those who were asked are told what came of it on this channel."""
        ...

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        """Tell one receiver. address: as the channel has it. handle: of what was told before about the same, which this
        changes or continues; empty for the first. now: Unix milliseconds."""
        ...
