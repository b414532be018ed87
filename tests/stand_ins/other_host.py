"""Another host: a network namespace of its own, with a cable to this one and nothing else. Needs root and iproute2."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx2

from tests.probes.loud_skips import not_proven, skip_loudly

CLIENT = """
import http.client, json, sys
host, port, method, path, headers, body = json.load(sys.stdin)
connection = http.client.HTTPConnection(host, port, timeout=60)
connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
for name, value in headers:
    connection.putheader(name, value)
connection.endheaders(body.encode("latin-1"))
answer = connection.getresponse()
json.dump([answer.status, answer.getheaders(), answer.read().decode("latin-1")], sys.stdout)
"""
"""One request, sent as it is told, over this host's own network."""


class OtherHost(httpx2.AsyncBaseTransport):
    """Sends from a process over there. sent: the last request, as it went out."""

    def __init__(self, command: tuple[str, ...], address: tuple[str, int]) -> None:
        self._command, self._address = command, address

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self.send(await copied(request))

    async def send(self, asked: Copy) -> httpx2.Response:
        """Somebody's request, byte for byte."""
        started = await asyncio.create_subprocess_exec(
            *self._command, sys.executable, "-c", CLIENT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(
            started.communicate(json.dumps([*self._address, *asked]).encode()), 60
        )
        status, headers, text = json.loads(said)
        kept = [(name, value) for name, value in headers if name.lower() != "transfer-encoding"]
        return httpx2.Response(status, headers=kept, content=text.encode("latin-1"))


Copy = tuple[str, str, list[tuple[str, str]], str]


async def copied(request: httpx2.Request) -> Copy:
    """Everything that goes out."""
    body = await request.aread()
    return (
        request.method,
        request.url.raw_path.decode(),
        list(request.headers.multi_items()),
        body.decode("latin-1"),
    )


class Tapped(httpx2.AsyncHTTPTransport):
    """Sends from here, and keeps what it sent for whoever listens."""

    heard: Copy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.heard = await copied(request)
        return await super().handle_async_request(request)


def require_namespace(*kinds: str) -> None:
    """Skips the test with a warning where no namespaces of these kinds may be made."""
    try:
        done = subprocess.run(
            ["unshare", *kinds, "true"], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        not_proven(
            "no unshare: copied tokens are NOT PROVEN here; apt-get install util-linux", name="namespaces"
        )
    if done.returncode:
        not_proven(
            f"no namespaces, as root has them: copied tokens are NOT PROVEN here: {done.stderr[:200]}",
            name="namespaces",
        )


@contextmanager
def _cabled() -> Iterator[tuple[str, str]]:
    """Name of the namespace, and our address as seen from there."""
    if not shutil.which("ip"):
        skip_loudly("iproute2", "apt-get install iproute2; another host is NOT PROVEN here", name="iproute2")
    number = os.getpid() % 60_000
    name, here, there = f"copied-{number}", f"cp{number}a", f"cp{number}b"
    net = f"10.{213 + number // 16_000}.{number // 64 % 250}.{number % 64 * 4}"
    base, last = net.rsplit(".", 1)
    ours, theirs = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
    steps = (
        f"ip netns add {name}",
        f"ip link add {here} type veth peer name {there}",
        f"ip link set {there} netns {name}",
        f"ip addr add {ours}/30 dev {here}",
        f"ip link set {here} up",
        f"ip netns exec {name} ip addr add {theirs}/30 dev {there}",
        f"ip netns exec {name} ip link set {there} up",
    )
    try:
        for step in steps:
            done = subprocess.run(step.split(), capture_output=True, text=True, timeout=60, check=False)
            if done.returncode:
                not_proven(
                    f"no network namespace, as root has one: another host is NOT PROVEN here: {done.stderr[:200]}",
                    name="namespaces",
                )
        yield name, ours
    finally:
        for step in (f"ip link del {here}", f"ip netns del {name}"):
            subprocess.run(step.split(), capture_output=True, timeout=60, check=False)


@asynccontextmanager
async def other_host(port: int) -> AsyncIterator[OtherHost]:
    """With a way to this port of our loopback, as a load balancer would make one."""
    with _cabled() as (name, address):

        async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner, out = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pumped(reader, out), _pumped(inner, writer))

        server = await asyncio.start_server(passed_on, address, 0)
        async with server:
            yield OtherHost(("ip", "netns", "exec", name), (address, server.sockets[0].getsockname()[1]))


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
