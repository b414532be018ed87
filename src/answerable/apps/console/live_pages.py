"""Live activity page: a table that follows the ledger, and the event stream that signals news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from starlette.responses import Response, StreamingResponse

from answerable.apps.console.activity import KINDS, recent_activity
from answerable.apps.console.guard import HEADERS
from answerable.apps.console.sessions import COOKIE
from answerable.errors import AnswerableError
from answerable.errors.codes.services import CONSOLE_STREAMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from answerable.apps.console.desk import Asked

LINES_MAX: Final = 50
NAME_CHARS_MAX: Final = 63
BEAT_SECONDS: Final = 15.0
"""Seconds between two keep-alive comments, by which proxies and browsers know that the stream is alive."""


async def live(asked: Asked) -> Response:
    """Show recent activity, newest first; the address carries the filters."""
    query = asked.request.query_params
    kind = query.get("kind", "") if query.get("kind", "") in KINDS else ""
    agent = query.get("agent", "")[:NAME_CHARS_MAX]
    template = "live_part.html" if "part" in query else "live.html"
    found = await recent_activity(asked.console.needs.searches, lines_max=LINES_MAX, kind=kind, agent=agent)
    return asked.page(template, activity=found, kind=kind, agent=agent, kinds=tuple(KINDS))


async def news(asked: Asked) -> Response:
    """Stream server-sent events: an empty `news` event whenever the ledger has grown. Pages fetch the content
    themselves, so the stream carries no data of anybody."""
    session, _ = asked.who
    if session.streams >= asked.console.needs.limits.streams_per_session_max:
        raise CONSOLE_STREAMS()
    headers = {**HEADERS, "content-type": "text/event-stream", "x-accel-buffering": "no"}
    if asked.request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(_news(asked), headers=headers)


async def _news(asked: Asked) -> AsyncIterator[bytes]:
    session, _ = asked.who
    secret = asked.request.cookies.get(COOKIE, "")
    pause = asked.console.needs.limits.live_seconds
    seen, quiet = _state(asked), 0.0
    # Counted inside the generator: a client that left before it started leaves no count behind.
    session.streams += 1
    try:
        yield b": open\n\n"
        while True:
            await anyio.sleep(pause)
            if asked.console.needs.stopping():
                # Pages reconnect by themselves; a stopping server does not wait for readers.
                return
            # After the session has ended, or its person was stopped, the stream reveals nothing more.
            try:
                if asked.console.sessions.find(secret) is None:
                    yield b"event: ended\ndata:\n\n"
                    return
            except AnswerableError:
                return
            now, quiet = _state(asked), quiet + pause
            if now != seen:
                seen, quiet = now, 0.0
                yield b"event: news\ndata:\n\n"
            elif quiet >= BEAT_SECONDS:
                quiet = 0.0
                yield b": beat\n\n"
    finally:
        session.streams -= 1


def _state(asked: Asked) -> tuple[int, str]:
    """Return the state that pages depend on: the number of entries and the digest of the registry in force."""
    return asked.walk.recorder.ledger.size, asked.walk.authority.registry.current.digest
