"""A thousand workloads, each a process of its own and, where we are root, of a hundred users, that hold X.509 streams.

A workload is a process that connects to the Workload API's socket and passes on what comes there and what it is given,
over a socket between it and the process that reads for all of them: who speaks must be who connected. So a thousand
processes are measured, enrolled and renewed, and all but the passing on of their answers takes no more than one
process's share of a machine on which the server is to be measured.

Stamps are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

# All else is imported once the workloads have been made: each is a copy of this process.
if TYPE_CHECKING:
    import asyncio

USERS: Final = 100
FIRST_USER: Final = 20_000
TOGETHER: Final = 16
"""Workloads that start at a time."""
OCTETS: Final = 65_536


def users(count: int) -> tuple[int, ...]:
    """As whom the workloads run; as ourselves where we may not choose."""
    if os.geteuid() != 0:
        return (os.geteuid(),)
    return tuple(range(FIRST_USER, FIRST_USER + min(USERS, count)))


@dataclass
class Held:
    """What one workload has. said: when each answer came, and what was in it."""

    said: list[tuple[float, bytes]] = field(default_factory=list)


def hold(pipe: Connection, path: str, count: int) -> None:
    """Start them, one after another or a few at a time; then tell what is asked through the pipe until it closes.

    Answers `rotated` with a list: for each workload when its first answer after a stamp came, its SPIFFE ID, and the
    key identifier of who signed its certificate; empty as long as some have none.
    """
    places = users(count)
    workloads = [workload(path, places[number % len(places)]) for number in range(count)]
    try:
        import asyncio

        asyncio.run(_hold(pipe, [one for one, _ in workloads]))
    finally:
        for line, pid in workloads:
            line.close()
            os.kill(pid, signal.SIGKILL)
        for _, pid in workloads:
            os.waitpid(pid, 0)


def workload(path: str, user: int) -> tuple[socket.socket, int]:
    """A process that connects when a byte comes, and passes on in both directions until either closes."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return ours, pid
    status = 1
    try:
        keep = theirs.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
        if user != os.geteuid():
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        if theirs.recv(1):
            with socket.socket(socket.AF_UNIX) as connected:
                connected.connect(path)
                _pass_on(theirs, connected)
        status = 0
    finally:
        os._exit(status)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    while True:
        for ready in select.select([one, other], [], [])[0]:
            if not (octets := ready.recv(OCTETS)):
                return
            (other if ready is one else one).sendall(octets)


async def _hold(pipe: Connection, lines: list[socket.socket]) -> None:
    import asyncio

    from answerable.apps.workload_api.messages import schema
    from answerable.core.identity.names.spiffe_terms import WORKLOAD_API

    rpc = schema().methods[f"/{WORKLOAD_API}/FetchX509SVID"]
    held = [Held() for _ in lines]
    turns = asyncio.Semaphore(TOGETHER)
    async with asyncio.TaskGroup() as tasks:
        streams = [
            tasks.create_task(_follow(line, rpc, one, turns)) for line, one in zip(lines, held, strict=True)
        ]
        while not all(one.said for one in held):  # noqa: ASYNC110 - waited for by a look, as from outside
            await asyncio.sleep(0.02)
        pipe.send(time.monotonic())
        while (asked := await asyncio.to_thread(_next, pipe)) is not None:
            pipe.send([_answer(one, asked) for one in held] if _all_after(held, asked) else [])
        for stream in streams:
            stream.cancel()


def _next(pipe: Connection) -> float | None:
    try:
        return float(pipe.recv())
    except EOFError:
        return None


def _all_after(held: list[Held], stamp: float) -> bool:
    return all(one.said[-1][0] > stamp for one in held)


def _answer(one: Held, stamp: float) -> tuple[float, str, bytes]:
    from cryptography import x509

    from answerable.apps.workload_api.messages import schema

    # The last: between the two changes of one rotation a stream may have had an answer of the first alone.
    at, message = one.said[-1]
    svid = schema().message("X509SVIDResponse").FromString(message).svids[0]
    leaf = x509.load_der_x509_certificate(svid.x509_svid)
    signer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    return at, svid.spiffe_id, signer or b""


async def _follow(line: socket.socket, rpc: Any, held: Held, turns: asyncio.Semaphore) -> None:
    """One stream, from the workload's start until this is cancelled."""
    import asyncio

    from grpclib.client import Channel
    from grpclib.const import Cardinality, Status
    from grpclib.exceptions import GRPCError

    class Handed(Channel):
        """Over a connection that somebody else made."""

        async def _create_connection(self) -> Any:
            _, protocol = await self._loop.create_unix_connection(self._protocol_factory, sock=line)
            return protocol

    await turns.acquire()
    started, channel = False, None
    try:
        line.send(b".")
        line.setblocking(False)
        channel = Handed(path="passed on")
        while True:
            try:
                stream: Any
                async with channel.request(
                    rpc.path,
                    Cardinality.UNARY_STREAM,
                    rpc.takes,
                    rpc.gives,
                    metadata={"workload.spiffe.io": "true"},
                ) as stream:
                    await stream.send_message(rpc.takes(), end=True)
                    while (message := await stream.recv_message()) is not None:
                        held.said.append((time.monotonic(), message.SerializeToString()))
                        if not started:
                            started = True
                            turns.release()
            except GRPCError as refused:
                # Others of its user are being measured: it is told to come again.
                if started or refused.status is not Status.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.05)
    finally:
        if channel is not None:
            channel.close()
        if not started:
            turns.release()


if __name__ == "__main__":
    hold(Connection(int(sys.argv[1])), sys.argv[2], int(sys.argv[3]))
