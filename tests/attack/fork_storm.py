"""Takes the pids of workloads that have just died, as fast as the kernel gives them out; run as a program:

ROOT PID-MAX SECONDS ROUNDS, in a PID namespace of its own, whose highest pid is set. In each round a victim asks the
real Workload API, leaves its connection to others and dies, half of them in the middle of being looked at. Then
processes are forked until one has its pid. This heir listens to the connection that was left, and asks over one of its
own. The last line says what everybody got; the storm ends after so many rounds or seconds, whatever comes first.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events

sys.path.insert(0, str(Path(__file__).parents[2]))

from answerable.apps.workload_api.messages import schema
from tests.worlds.up import House, registry

RESERVED_PIDS = 300
"""Once the kernel has come to the highest pid, it gives none below this any more."""
READ_SECONDS = 10.0
LEFT_SECONDS = 0.3
"""How long somebody listens to a connection on which nothing may come."""
FRAME_HEADER_BYTES, DATA = 9, 0
FETCH = "/SpiffeWorkloadAPI/FetchX509SVID"
PID_MAX = Path("/proc/sys/kernel/pid_max")


class Asking:
    """One connection to the Workload API, without a library that would know better."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self._body = b""

    @classmethod
    def at(cls, path: Path) -> Asking:
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(str(path))
        return cls(connected)

    def ask(self) -> None:
        stream = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", FETCH), (":authority", "localhost")]
        more = [("te", "trailers"), ("content-type", "application/grpc"), ("workload.spiffe.io", "true")]
        self.h2.send_headers(stream, headers + more)
        self.h2.send_data(stream, struct.pack(">?I", False, 0), end_stream=True)
        self.socket.sendall(self.h2.data_to_send())

    def id(self, seconds: float) -> str:
        """The SPIFFE ID of the first answer; the gRPC status of a refusal, or empty when nobody says anything."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            try:
                received = self.socket.recv(65_536)
            except ConnectionError:
                break
            if not received:
                break
            for event in self.h2.receive_data(received):
                if isinstance(event, h2.events.DataReceived):
                    self._body += event.data
                elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    fields = {_text(name): _text(value) for name, value in event.headers or ()}
                    if fields.get("grpc-status", "0") != "0":
                        return f"status {fields['grpc-status']}"
            if (found := self._first()) is not None:
                return found
            try:
                self.socket.sendall(self.h2.data_to_send())
            except ConnectionError:
                break
        return ""

    def _first(self) -> str | None:
        return id_in(self._body)


def id_in(body: bytes) -> str | None:
    """The SPIFFE ID of the first message, once it is whole."""
    size = int.from_bytes(body[1:5], "big")
    if len(body) < 5 + max(size, 1):
        return None
    answer = schema().message("X509SVIDResponse")()
    answer.ParseFromString(body[5 : 5 + size])
    return str(answer.svids[0].spiffe_id)


def left_over(connected: socket.socket) -> str:
    """The SPIFFE ID in what still comes over a connection that somebody else began: frames of data, whatever state
    a library would want to have. Empty when nothing does before it is closed, or for a while."""
    wire = b""
    connected.setblocking(True)
    connected.settimeout(LEFT_SECONDS)
    try:
        while piece := connected.recv(65_536):
            wire += piece
    except OSError:
        pass
    body = b""
    while len(wire) >= FRAME_HEADER_BYTES:
        size, kind = int.from_bytes(wire[:3], "big"), wire[3]
        if kind == DATA:
            body += wire[FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + size]
        wire = wire[FRAME_HEADER_BYTES + size :]
    return (id_in(body) or "data") if body else ""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def forked(work: Callable[[socket.socket], None]) -> tuple[int, socket.socket]:
    """A child that does this work with its end of a pair, and ends."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            work(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return pid, ours


def told(pair: socket.socket) -> str:
    with pair:
        pair.settimeout(READ_SECONDS * 2)
        return pair.recv(4096).decode()


def victim(api: Path, waits: bool) -> tuple[int, str, socket.socket]:
    """Its pid, the identity that it saw, and the connection that it left."""

    def work(to: socket.socket) -> None:
        one = Asking.at(api)
        one.ask()
        seen = one.id(READ_SECONDS) if waits else "-"
        socket.send_fds(to, [seen.encode()], [one.socket.fileno()])

    pid, pair = forked(work)
    with pair:
        pair.settimeout(READ_SECONDS * 2)
        seen, fds, _, _ = socket.recv_fds(pair, 4096, 1)
    os.waitpid(pid, 0)
    return pid, seen.decode().removeprefix("-"), socket.socket(fileno=fds[0])


def heir_of(pid: int, api: Path, left: socket.socket, end: float) -> tuple[int, tuple[str, str] | None]:
    """Forks until somebody has that pid; what it got over the connection that was left, and over its own."""
    forks = 0

    def work(to: socket.socket) -> None:
        if os.getpid() != pid:
            return
        inherited = left_over(left)
        one = Asking.at(api)
        one.ask()
        to.sendall(json.dumps([inherited, one.id(READ_SECONDS)]).encode())

    while time.monotonic() < end:
        child, pair = forked(work)
        forks += 1
        if child != pid:
            pair.close()
            os.waitpid(child, 0)
            continue
        said = told(pair)
        os.waitpid(child, 0)
        inherited, own = json.loads(said)
        return forks, (inherited, own)
    return forks, None


def storm(api: Path, seconds: float, rounds: int) -> dict[str, Any]:
    end = time.monotonic() + seconds
    lives: list[dict[str, str]] = []
    forks = 0
    while forks < RESERVED_PIDS:
        # Nobody would be given the pid of a victim from below.
        child, pair = forked(lambda _: None)
        pair.close()
        os.waitpid(child, 0)
        forks += 1
        if child > RESERVED_PIDS:
            break
    for number in range(rounds):
        if time.monotonic() > end:
            break
        waits = number % 2 == 0
        pid, seen, left = victim(api, waits)
        tried, got = heir_of(pid, api, left, end)
        forks += tried
        left.close()
        if got is not None:
            lives.append({"served": str(waits), "victim": seen, "inherited": got[0], "own": got[1]})
    return {"forks": forks, "lives": lives}


async def main(root: str, seconds: str, rounds: str) -> None:
    home = House(Path(root))
    await home.start()
    home.apply(registry(helper=[[f"unix:uid:{os.geteuid()}"]]))
    found = storm(home.api, float(seconds), int(rounds))
    await home.stop(signal.SIGTERM)
    print(json.dumps(found))


if __name__ == "__main__":
    PID_MAX.write_text(sys.argv[2])
    asyncio.run(main(sys.argv[1], *sys.argv[3:]))
