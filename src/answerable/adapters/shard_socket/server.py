"""Execute actions that other processes forward, while this process holds its shard."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from answerable.adapters.shard_socket.answers import answer_bytes
from answerable.adapters.shard_socket.frames import LinkLimits, read_message, send_message
from answerable.adapters.shard_socket.messages import (
    Contain,
    Greet,
    Trace,
    asked_in,
    caller_in,
    contained_bytes,
    failed_bytes,
    going_bytes,
    greeted_bytes,
    request_in,
    traced_bytes,
)
from answerable.adapters.shard_socket.place import (
    PORT,
    SOCKET_MODE,
    is_own_account,
    made_directory,
    socket_of,
)
from answerable.core.mandate.revocation import revocable
from answerable.errors import AnswerableError, Malformed, Unavailable, shown
from answerable.errors.codes.ledger import SHARD_ADDRESS, SHARD_FAILED, SHARD_LATE, SHARD_REFUSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from anyio.abc import SocketListener, SocketStream, TaskGroup

    from answerable.adapters.shard_socket.messages import Action
    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.answer import Answer
    from answerable.core.ledger.containment import StopPart
    from answerable.core.ledger.effects import Effects
    from answerable.core.mandate.revocation import RevocationTarget
    from answerable.ports.upstream import Progress

ACCEPT_RETRY_SECONDS: Final = 0.1

_log: Final = logging.getLogger(__name__)
_GONE: Final = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead)


class Govern(Protocol):
    """Like flows.govern_action.govern_action with bound parts; this function never forwards an action."""

    async def __call__(
        self, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
    ) -> Answer:
        """Raises AnswerableError."""
        ...


class SocketShardDoor:
    """The listener of one shard. Its process must hold that shard's log, so that there is only one listener at a
    time."""

    def __init__(
        self,
        directory: Path,
        *,
        shard: str,
        origin: str,
        govern: Govern,
        trace: Callable[[RevocationTarget], Awaitable[Effects]],
        contain: Callable[[str], Awaitable[StopPart]],
        limits: LinkLimits | None = None,
    ) -> None:
        """trace: returns what is in flight and was done in this shard under a name. contain: returns what this shard's
        log states about a hold. Both raise AnswerableError."""
        self._directory, self._path = directory, socket_of(directory, shard)
        self._origin, self._govern, self._trace = origin, govern, trace
        self._contain = contain
        self._limits = limits or LinkLimits()
        # Open connections, and how many of them have a running action.
        self._under_way = self._begun = 0
        self._idle = anyio.Event()

    async def serve(self, *, stop: anyio.Event, started: Callable[[], None]) -> None:
        """Accept actions until `stop` is set; those in progress then have `stop_seconds_max` to end.

        Raises Unavailable (`shard.directory`, `shard.address`).
        """
        made_directory(self._directory)
        try:
            listener = await anyio.create_unix_listener(self._path, mode=SOCKET_MODE)
        except OSError as error:
            raise SHARD_ADDRESS(
                f"cannot listen on the socket {shown(self._path.name)} between shards: {error.strerror or error}"
            ) from None
        try:
            async with anyio.create_task_group() as actions:
                async with listener, anyio.create_task_group() as accepting:
                    accepting.start_soon(self._accept, listener, actions)
                    started()
                    await stop.wait()
                    accepting.cancel_scope.cancel()
                with anyio.move_on_after(self._limits.stop_seconds_max):
                    while self._under_way:
                        self._idle = anyio.Event()
                        await self._idle.wait()
                actions.cancel_scope.cancel()
        finally:
            with suppress(OSError):
                os.unlink(self._path)

    async def _accept(self, listener: SocketListener, actions: TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.BrokenResourceError as failed:
                # For example, no file descriptors are left. Connecting processes wait meanwhile, up to their own
                # deadline.
                _log.warning("the socket between shards takes nobody for now: %s", failed.__cause__)
                await anyio.sleep(ACCEPT_RETRY_SECONDS)
                continue
            actions.start_soon(self._connected, stream)

    async def _connected(self, stream: SocketStream) -> None:
        """Serve one connection. No peer's behaviour affects other connections."""
        self._under_way += 1
        try:
            async with stream:
                if not is_own_account(stream):
                    _log.warning(
                        "a process of another account was turned away from the socket between shards"
                    )
                    return
                await self._answered(stream)
        except _GONE:
            # The forwarding process is gone; the ledger has the result.
            return
        except Exception:
            _log.exception("a connection between shards failed")
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _answered(self, stream: SocketStream) -> None:
        received = BufferedByteReceiveStream(stream)
        try:
            with anyio.fail_after(self._limits.send_seconds_max):
                asked = asked_in(await read_message(received, self._limits))
            if isinstance(asked, Trace | Contain | Greet):
                await self._send(stream, await self._told(asked))
                return
            action, request = asked, self._checked(asked)
        except TimeoutError:
            return
        except AnswerableError as error:
            await self._send(stream, failed_bytes(_turned_away(error)))
            return
        self._begun += 1
        try:
            reply = await self._governed(stream, received, action, request)
        finally:
            self._begun -= 1
        if reply is not None:
            await self._send(stream, reply)

    async def _told(self, asked: Trace | Contain | Greet) -> bytes:
        """Answer a question about what was done. Raises Malformed, Unavailable (`shard.refused`), and the exceptions of
        `trace` and `contain`."""
        self._check_address(asked.to)
        if isinstance(asked, Greet):
            return greeted_bytes(self._origin)
        try:
            with anyio.fail_after(self._limits.trace_seconds_max):
                if isinstance(asked, Contain):
                    return contained_bytes(await self._contain(asked.hold))
                return traced_bytes(await self._trace(revocable(asked.kind, asked.name)))
        except TimeoutError:
            raise SHARD_LATE("reading the shard's ledger took too long", effect="unknown") from None

    def _checked(self, action: Action) -> ActionRequest:
        """Check an action before it begins. Raises Malformed, Unavailable (`shard.refused`)."""
        if self._begun >= self._limits.actions_max:
            raise SHARD_REFUSED("too many forwarded actions at a time: try again")
        self._check_address(action.to)
        return request_in(action, self._limits)

    def _check_address(self, to: str) -> None:
        if to != self._origin:
            raise SHARD_REFUSED(f"the action is for shard {shown(to)}, this is shard {shown(self._origin)}")

    async def _governed(
        self,
        stream: SocketStream,
        received: BufferedByteReceiveStream,
        action: Action,
        request: ActionRequest,
    ) -> bytes | None:
        """Execute the action and return the reply; None if the forwarding process disconnected, which cancels the
        action."""
        reply: bytes | None = None
        turn = anyio.Lock()
        async with anyio.create_task_group() as tasks:

            async def going(done: float, total: float | None, text: str | None) -> None:
                try:
                    async with turn:
                        await self._send(stream, going_bytes(done, total, text))
                except _GONE:
                    # Half a message may have been sent, so the stream is unusable: treat the peer as gone.
                    tasks.cancel_scope.cancel()

            tasks.start_soon(_until_gone, received, tasks.cancel_scope)
            reply = await self._reply(request, caller_in(action.caller), going if action.progress else None)
            tasks.cancel_scope.cancel()
        return reply

    async def _reply(
        self, request: ActionRequest, caller: VerifiedCaller, progress: Progress | None
    ) -> bytes:
        try:
            with anyio.fail_after(self._limits.answer_seconds_max):
                answer = await self._govern(request, caller, progress=progress)
        except AnswerableError as error:
            return failed_bytes(error)
        except TimeoutError:
            return failed_bytes(SHARD_LATE("the action took too long and was cancelled", effect="unknown"))
        except Exception:
            _log.exception("an action that was handed on failed")
            return failed_bytes(SHARD_FAILED("the process of this mandate's shard failed"))
        try:
            return answer_bytes(answer)
        except AnswerableError as odd:
            # The action was done and recorded; only its answer cannot be sent.
            return failed_bytes(SHARD_FAILED(f"the answer cannot be returned: {odd.message}"))

    async def _send(self, stream: SocketStream, message: bytes) -> None:
        """Send a message. Raises the stream's exceptions, also if the peer does not read."""
        try:
            with anyio.fail_after(self._limits.send_seconds_max):
                await send_message(stream, message, self._limits)
        except Malformed as long:
            await send_message(
                stream,
                failed_bytes(Unavailable(long.message, code=long.code, port=PORT, effect="unknown")),
                self._limits,
            )
        except TimeoutError:
            raise anyio.BrokenResourceError from None


async def _until_gone(received: BufferedByteReceiveStream, scope: anyio.CancelScope) -> None:
    """Cancel when the peer sends anything or disconnects: after its action, a peer that waits sends nothing."""
    with suppress(anyio.EndOfStream, *_GONE):
        await received.receive(1)
    scope.cancel()


def _turned_away(error: AnswerableError) -> Unavailable:
    """Convert an error: a malformed message between processes is no fault of the agent."""
    return SHARD_REFUSED(error.message)
