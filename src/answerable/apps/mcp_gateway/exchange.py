"""What the HTTP server offers for one request beside ASGI's `receive` and `send`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from answerable.core.identity.proof.channel import EXCHANGE_EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope


class Exchange(Protocol):
    """As adapters.uvicorn_front.exchange.HttpExchange."""

    def arrived(self) -> bytes | None:
        """Take the body if it is there to its end. None if it is not: ASGI's `receive` gives it."""
        ...

    def when_left(self, tell: Callable[[], object]) -> None:
        """Call `tell` once if the caller leaves before its answer; at once if it has left."""
        ...

    def answer(self, status: int, fields: bytes, body: bytes) -> bool:
        """Answer in one write. Return False, having done nothing, where ASGI's `send` has to do it. fields: whole
        lines; one states the length of the body."""
        ...


def exchange_of(scope: Scope) -> Exchange:
    """Return what the server offers for this request."""
    return cast("Exchange", scope["extensions"][EXCHANGE_EXTENSION])
