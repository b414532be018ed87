"""Subscribe to the server notifications that callers wait for, in both eras of the protocol."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import mcp_types
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.adapters.mcp_upstream.asking import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus
    from mcp.client.session import ClientSession, IncomingMessage
    from mcp.client.subscriptions import Subscription

    from answerable.adapters.mcp_upstream.live import Live
    from answerable.adapters.mcp_upstream.watches import Watches

    Changed = Callable[[str, str], None]

TOOLS_CHANGED: Final = "notifications/tools/list_changed"
PROMPTS_CHANGED: Final = "notifications/prompts/list_changed"
RESOURCES_CHANGED: Final = "notifications/resources/list_changed"
RESOURCE_UPDATED: Final = "notifications/resources/updated"
ANSWER_SECONDS_MAX: Final = 10.0
RETRY_SECONDS: Final = 5.0
OVERLAP_SECONDS: Final = 0.5
"""How long a stream is still read once the next one is open."""


def notification_of(message: IncomingMessage) -> tuple[str, str] | None:
    """Return method and URI of a change that a session-based server announces; None for any other message."""
    match message:
        case mcp_types.ToolListChangedNotification():
            return TOOLS_CHANGED, ""
        case mcp_types.PromptListChangedNotification():
            return PROMPTS_CHANGED, ""
        case mcp_types.ResourceListChangedNotification():
            return RESOURCES_CHANGED, ""
        case mcp_types.ResourceUpdatedNotification(params=params):
            return RESOURCE_UPDATED, str(params.uri)
    return None


async def follow(live: Live, watches: Watches, changed: Changed) -> None:
    """Subscribe to wanted resources, unsubscribe from others, and report events, until the connection ends."""
    if live.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
        await _follow_stream(live, watches, changed)
    else:
        await _follow_session(live, watches)


async def _follow_session(live: Live, watches: Watches) -> None:
    while True:
        watches.changed = anyio.Event()
        changed = watches.changed
        wanted = watches.wanted
        for uri in live.acknowledged - wanted:
            await _tell(live.session, "resources/unsubscribe", uri)
        done = live.acknowledged & wanted
        for uri in wanted - live.acknowledged:
            if await _tell(live.session, "resources/subscribe", uri):
                done |= {uri}
        _settle(live, done, wanted)
        await changed.wait()


async def _tell(session: ClientSession, method: str, uri: str) -> bool:
    with anyio.move_on_after(ANSWER_SECONDS_MAX):
        try:
            await ask(session, method, {"uri": uri})
        except (MCPError, ValueError):
            return False
        return True
    return False


async def _follow_stream(live: Live, watches: Watches, changed: Changed) -> None:
    """Hold one `subscriptions/listen` stream. When the wanted set changes, the last stream is read until the next one
    is open, and its announcements a moment longer: what the server sent on it meanwhile is nowhere else. A stream that
    follows a lost one reports every list as changed."""
    missed = False
    last: _Stream | None = None
    ending: _Stream | None = None
    async with anyio.create_task_group() as streams:
        while True:
            watches.changed = anyio.Event()
            wish = watches.changed
            wanted = watches.wanted
            flags = _flags(live.session)
            if not wanted and not any(flags.values()):
                _settle(live, frozenset(), wanted)
                if last is not None:
                    last.scope.cancel()
                last, live.is_followed = None, False
                await wish.wait()
                continue
            stream: _Stream | None = await streams.start(_hold, live.session, wanted, flags, changed)
            if stream is not None:
                if ending is not None:
                    ending.scope.cancel()
                if last is not None:
                    last.is_last = False
                    streams.start_soon(_end_later, last)
                ending, last = last, stream
                if missed or live.is_behind or (ending is not None and ending.ended.is_set()):
                    # What changed while no stream was open was announced to nobody.
                    _report_all(flags, changed)
                missed = live.is_behind = False
            live.is_followed = last is not None and not last.ended.is_set()
            _settle(live, stream.honored if stream is not None else frozenset(), wanted)
            if stream is None or not await _until(wish, stream.ended):
                # Not served or lost: retry after a pause, or when the wanted set changes.
                missed = True
                live.is_followed = last is not None and not last.ended.is_set()
                with anyio.move_on_after(RETRY_SECONDS):
                    await wish.wait()


def _report_all(flags: dict[str, bool], changed: Changed) -> None:
    for name, method in (
        ("tools", TOOLS_CHANGED),
        ("prompts", PROMPTS_CHANGED),
        ("resources", RESOURCES_CHANGED),
    ):
        if flags[name]:
            changed(method, "")


@dataclass(slots=True, eq=False)
class _Stream:
    """An open stream. honored: resources whose updates it carries. ended: set once it carries nothing any more.
    is_last: whether no other one has followed, which tells of updates from then on."""

    honored: frozenset[str]
    scope: anyio.CancelScope
    ended: anyio.Event
    is_last: bool = True


async def _hold(
    session: ClientSession,
    wanted: frozenset[str],
    flags: dict[str, bool],
    changed: Changed,
    *,
    task_status: TaskStatus[_Stream | None],
) -> None:
    """Open a stream and report its events until it ends or is cancelled. Starts with None if it is not served."""
    scope, ended = anyio.CancelScope(), anyio.Event()
    try:
        with scope:
            async with AsyncExitStack() as opening:
                stream = await _open(session, opening, wanted, flags)
                if stream is None:
                    task_status.started(None)
                    return
                honored = frozenset(stream.honored.resource_subscriptions or ())
                opened = _Stream(honored, scope, ended)
                task_status.started(opened)
                await _pass_on(stream, opened, changed)
    finally:
        ended.set()


async def _open(
    session: ClientSession, opening: AsyncExitStack, wanted: frozenset[str], flags: dict[str, bool]
) -> Subscription | None:
    stream = listen(
        session,
        tools_list_changed=flags["tools"],
        prompts_list_changed=flags["prompts"],
        resources_list_changed=flags["resources"],
        resource_subscriptions=sorted(wanted),
    )
    with anyio.move_on_after(ANSWER_SECONDS_MAX):
        try:
            return await opening.enter_async_context(stream)
        except (MCPError, SubscriptionLost, TimeoutError):
            return None
    return None


async def _pass_on(events: Subscription, stream: _Stream, changed: Changed) -> None:
    with suppress(SubscriptionLost):
        async for event in events:
            match event:
                case ToolsListChanged():
                    changed(TOOLS_CHANGED, "")
                case PromptsListChanged():
                    changed(PROMPTS_CHANGED, "")
                case ResourcesListChanged():
                    changed(RESOURCES_CHANGED, "")
                case ResourceUpdated(uri=uri) if stream.is_last:
                    changed(RESOURCE_UPDATED, uri)


async def _end_later(stream: _Stream) -> None:
    """End a stream that another one has followed. Over HTTP what was sent on it before may still be under way."""
    with anyio.move_on_after(OVERLAP_SECONDS):
        await stream.ended.wait()
    stream.scope.cancel()


async def _until(wish: anyio.Event, ended: anyio.Event) -> bool:
    """Wait until the wanted set changes (True) or the stream ends (False)."""

    async def one(event: anyio.Event) -> None:
        await event.wait()
        either.cancel_scope.cancel()

    async with anyio.create_task_group() as either:
        either.start_soon(one, wish)
        either.start_soon(one, ended)
    return not ended.is_set()


def _flags(session: ClientSession) -> dict[str, bool]:
    declared = session.server_capabilities or mcp_types.ServerCapabilities()
    return {
        "tools": bool(declared.tools and declared.tools.list_changed),
        "prompts": bool(declared.prompts and declared.prompts.list_changed),
        "resources": bool(declared.resources and declared.resources.list_changed),
    }


def _settle(live: Live, acknowledged: frozenset[str], tried: frozenset[str]) -> None:
    """Record which resources the server now follows, and wake the callers that wait for that."""
    live.acknowledged, live.tried = acknowledged, tried
    settled, live.settled = live.settled, anyio.Event()
    settled.set()
