"""Forward actions to other shards, and query what was done there: one connection for each, and never a retry."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from answerable.adapters.shard_socket.answers import (
    Answered,
    answer_in,
    contained_in,
    greeted_in,
    reply_in,
    traced_in,
)
from answerable.adapters.shard_socket.frames import LinkLimits, framed, read_message
from answerable.adapters.shard_socket.messages import (
    Contained,
    Failed,
    Greeted,
    Traced,
    action_bytes,
    contain_bytes,
    error_in,
    greet_bytes,
    trace_bytes,
)
from answerable.adapters.shard_socket.place import PORT, check_directory, is_own_account, socket_of
from answerable.core.ledger.shards import checked_shard_name
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.ledger import SHARD_DIRECTORY, SHARD_DOWN, SHARD_LATE, SHARD_LOST, SHARD_REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from anyio.abc import SocketStream

    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.answer import Answer
    from answerable.core.ledger.containment import StopPart
    from answerable.core.ledger.effects import Effects
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.ports.upstream import Progress


T = TypeVar("T", Traced, Contained, Greeted)


class SocketShardLink:
    """Port ShardLink."""

    def __init__(
        self,
        directory: Path,
        *,
        base: str,
        own: str,
        shards: Callable[[], Iterable[str]] = tuple,
        limits: LinkLimits | None = None,
    ) -> None:
        """directory: of the sockets. base: common prefix of the origins of all shards' logs. own: this process's shard.
        shards: returns the names of all existing shards, running or not."""
        self._directory = directory
        self._prefix = f"{base}/"
        self._own = own
        self._shards = shards
        self._limits = limits or LinkLimits()

    def reaches(self, origin: str) -> bool:
        return self._shard(origin) not in ("", self._own)

    def others(self) -> Sequence[str]:
        try:
            names = sorted(set(self._shards()) - {self._own})
        except OSError as error:
            raise SHARD_DIRECTORY(
                f"the logs of the other shards cannot be listed: {error.strerror}"
            ) from None
        return [f"{self._prefix}{one}" for one in names]

    async def effects(self, origin: str, what: RevocationTarget) -> Effects:
        found = await self._told(origin, trace_bytes(origin, what), lambda answer: traced_in(answer))
        return found.effects

    async def contained(self, origin: str, hold: str) -> StopPart:
        found = await self._told(origin, contain_bytes(origin, hold), lambda answer: contained_in(answer))
        return found.part

    async def greet(self, origin: str) -> None:
        await self._told(origin, greet_bytes(origin), lambda answer: greeted_in(answer))

    async def _told(self, origin: str, question: bytes, read: Callable[[bytes], T | Failed]) -> T:
        """Send a question to a shard, and return its answer about its own log."""
        shard = self._shard(origin)
        if not shard:
            raise SHARD_REFUSED(f"{shown(origin)} is not a shard of this deployment")
        try:
            with anyio.fail_after(self._limits.trace_seconds_max):
                async with await self._connected(shard) as stream:
                    await stream.send(framed(question, self._limits))
                    reply = read(await read_message(BufferedByteReceiveStream(stream), self._limits))
        except TimeoutError:
            raise SHARD_LATE(
                f"shard {shown(shard)} gave no answer in {self._limits.trace_seconds_max:.0f} s"
            ) from None
        except (OSError, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise SHARD_LOST(f"shard {shown(shard)} closed the connection before it answered") from None
        except Malformed as odd:
            raise SHARD_LOST(f"shard {shown(shard)} answered {odd.message}") from None
        if isinstance(reply, Failed):
            raise SHARD_REFUSED(f"shard {shown(shard)} answered: {reply.message}")
        if reply.log != origin:
            raise SHARD_LOST(f"shard {shown(shard)} answered about another log")
        return reply

    async def forward(
        self, origin: str, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        shard = self._shard(origin)
        if not shard:
            raise SHARD_REFUSED(f"{shown(origin)} is not a shard of this deployment")
        try:
            message = framed(
                action_bytes(origin, request, caller, progress=progress is not None), self._limits
            )
        except Malformed as long:
            raise Unavailable(long.message, code=long.code, port=PORT) from None
        stream = await self._connected(shard, ", which this mandate belongs to,")
        # Leaving this block closes the connection, which cancels the action at the other shard if it has not ended.
        async with stream:
            # 1 send: an incomplete message is never executed, so a failure here has no effect.
            try:
                with anyio.fail_after(self._limits.send_seconds_max):
                    await stream.send(message)
            except (OSError, TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise SHARD_DOWN(
                    f"shard {shown(shard)} did not accept the action: nothing was done"
                ) from None
            # 2 answer: from here on, only the answer tells what happened.
            try:
                with anyio.fail_after(self._limits.answer_seconds_max):
                    return await self._answer(origin, shard, stream, progress)
            except TimeoutError:
                raise SHARD_LATE(
                    f"shard {shown(shard)} gave no answer in {self._limits.answer_seconds_max:.0f} s",
                    effect="unknown",
                ) from None

    def _shard(self, origin: str) -> str:
        try:
            return (
                checked_shard_name(origin.removeprefix(self._prefix))
                if origin.startswith(self._prefix)
                else ""
            )
        except Malformed:
            return ""

    async def _connected(self, shard: str, why: str = "") -> SocketStream:
        check_directory(self._directory)
        try:
            with anyio.fail_after(self._limits.connect_seconds_max):
                stream = await anyio.connect_unix(socket_of(self._directory, shard))
        except (OSError, TimeoutError):
            raise SHARD_DOWN(f"shard {shown(shard)}{why} is not running: try again when it is") from None
        if not is_own_account(stream):
            await stream.aclose()
            raise SHARD_REFUSED(f"the socket of shard {shown(shard)} belongs to another user")
        return stream

    async def _answer(
        self, origin: str, shard: str, stream: SocketStream, progress: Progress | None
    ) -> Answer:
        received = BufferedByteReceiveStream(stream)
        while True:
            try:
                reply = reply_in(await read_message(received, self._limits))
                if isinstance(reply, Answered):
                    return answer_in(reply, origin)
            except (OSError, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise SHARD_LOST(
                    f"shard {shown(shard)} closed the connection before it answered", effect="unknown"
                ) from None
            except Malformed as odd:
                raise SHARD_LOST(f"shard {shown(shard)} answered {odd.message}", effect="unknown") from None
            if isinstance(reply, Failed):
                raise error_in(reply, origin)
            if progress is not None:
                # A failing progress callback does not prevent the answer.
                with suppress(Exception):
                    await progress(reply.done, reply.total, reply.text)
