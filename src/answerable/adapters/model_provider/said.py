"""Assemble a model's answer from one JSON text or a stream, and convert it to a tool result, for any kind of
provider."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import parse
from answerable.errors import Malformed

if TYPE_CHECKING:
    from answerable.adapters.model_provider.asked import Chat
    from answerable.adapters.model_provider.prices import Prices
    from answerable.core.canonical import JSONValue

CALLS_MAX: Final = 128
CUT: Final = "reservation"


@dataclass(slots=True)
class SaidCall:
    """One tool call, which grows while a stream arrives."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Said:
    """An answer as far as it has arrived. read, written: the provider's count of input and output tokens; None if not
    yet reported. pieces: number of non-empty parts, which is a lower bound of the output tokens."""

    model: str = ""
    id: str = ""
    text: str = ""
    calls: dict[int, SaidCall] = field(default_factory=dict)
    stop: str = ""
    read: int | None = None
    written: int | None = None
    pieces: int = 0
    is_ended: bool = False
    is_cut: bool = False

    def call(self, index: object) -> SaidCall | None:
        """Return the call of this index, created on first use; None beyond the limit."""
        if type(index) is not int or not 0 <= index < CALLS_MAX:
            return None
        return self.calls.setdefault(index, SaidCall())

    @property
    def counted(self) -> int:
        """Output tokens so far, as far as is known."""
        return max(self.written or 0, self.pieces)


def count(value: object) -> int | None:
    """Return the value if it is a valid number of tokens; else None."""
    return value if type(value) is int and 0 <= value < 2**53 else None


def answer_of(said: Said, chat: Chat, prices: Prices) -> dict[str, JSONValue]:
    """Return the answer as the agent receives it. `usage` is left out if no count is known, so that the whole
    reservation stays spent."""
    found: dict[str, JSONValue] = {
        "model": said.model or chat.model,
        "text": said.text,
        "stop_reason": CUT if said.is_cut else said.stop or "unknown",
    }
    if said.calls:
        found["tool_calls"] = [_call(one) for _, one in sorted(said.calls.items())]
    if said.is_cut:
        read, written, by = said.read or chat.read_most, said.counted, "stream"
    elif said.read is not None and said.written is not None:
        read, written, by = said.read, said.written, "provider"
    else:
        return found
    found["usage"] = {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "counted_by": by,
    }
    if chat.price is not None:
        cost = chat.price.cost(read, written)
        found["cost"] = {
            "minor_units": prices.minor_units(cost),
            "micro_units": -(-cost // 10**6),
            "currency": prices.currency,
            "prices_of": prices.day,
        }
    return found


def _call(one: SaidCall) -> JSONValue:
    arguments: JSONValue = one.arguments
    # A model that was cut off leaves incomplete JSON, which is returned as text.
    with suppress(Malformed):
        arguments = parse((one.arguments or "{}").encode("utf-8", "replace"))
    return {"id": one.id, "name": one.name, "arguments": arguments}
