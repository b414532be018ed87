"""A caller that means harm, for the benchmark of neighbours: closed loops that send one body over and over.

Reads one JSON object from standard input (`Harm`), says `ready` once it is let in or refused, and goes on until it is
ended. Whatever it is answered, it sends again; where its connection ends, it makes another.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httptools
import uvloop
from load_client import UNKNOWN_EPOCH, Load, call, http

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.proof.http_signature import SignedRequest, sign_request
from answerable.sdk.keyfile import load_key

META = (
    b'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"a",'
    b'"version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}'
)
LONG = 4_000_000
MOST_BYTES = 260_000
MOST_MEMBERS = 4_900


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """key: of the agent, or of nobody. body: one of `BODIES`."""

    host: str
    port: int
    path: str
    connections: int
    key: str
    body: str


def _ping(params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{' + params + b"}}"


def _tool(arguments: bytes) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"customer_read",'
        + META
        + b',"arguments":{'
        + arguments
        + b"}}}"
    )


def _members(count: int) -> bytes:
    return b",".join(b'"%d":1' % number for number in range(count))


BODIES = {
    "members": lambda: _ping(_members(350_000)),
    "arguments": lambda: _tool(_members(330_000)),
    "text": lambda: _tool(b'"case_id":"' + b"x" * LONG + b'"'),
    "members_let_in": lambda: _ping(_members(MOST_MEMBERS)),
    "arguments_let_in": lambda: _tool(_members(MOST_MEMBERS)),
    "text_let_in": lambda: _tool(b'"case_id":"' + b"x" * MOST_BYTES + b'"'),
    "small": lambda: _ping(META),
    "calls": lambda: call(1),
}


class Loop:
    """One closed loop."""

    def __init__(self, harm: Harm, body: bytes, key: SigningKey) -> None:
        self._harm, self._body, self._key = harm, body, key
        self._epoch = UNKNOWN_EPOCH
        self._digest_body = sha256(body).digest()
        self.load = Load(
            host=harm.host, port=harm.port, path=harm.path, connections=1, seconds=0, calls_max=0, pids=[]
        )
        self.method = json.loads(body[: body.index(b'"params"')].rstrip(b",") + b"}")["method"]

    def request(self) -> bytes:
        """Signed anew, as each must be."""
        nonce = urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
        message = SignedRequest(
            method=b"POST",
            authority=f"{self._harm.host}:{self._harm.port}".encode(),
            target=self._harm.path.encode(),
            body=self._body,
        )
        signed = sign_request(
            message,
            algorithm=self._key.algorithm,
            keyid=self._key.public.thumbprint,
            created=int(time.time()),
            nonce=f"{self._epoch}.{nonce}",
            sign=self._key.sign,
        )
        sent = http(self.load, self._body, target=self._harm.path, proof=signed)
        return sent.replace(b"mcp-method: tools/call", b"mcp-method: " + self.method.encode(), 1)

    async def run(self, answered: asyncio.Event) -> None:
        """For ever."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(self._harm.host, self._harm.port)
                while True:
                    writer.write(self.request())
                    answer = _Answer()
                    parser = httptools.HttpResponseParser(answer)
                    while not answer.whole:
                        piece = await reader.read(65_536)
                        if not piece:
                            raise ConnectionError
                        parser.feed_data(piece)
                    told = answer.challenge.partition(b'epoch="')[2][:26]
                    self._epoch = told.decode() or self._epoch
                    answered.set()
            except (OSError, httptools.HttpParserError):
                writer.close()
                answered.set()


class _Answer:
    def __init__(self) -> None:
        self.challenge = b""
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a field."""
        if name.lower() == b"www-authenticate":
            self.challenge = self.challenge or value

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        self.whole = True


async def harm(wanted: Harm) -> None:
    """Until the process is ended."""
    body, key, answered = BODIES[wanted.body](), load_key(Path(wanted.key)), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(wanted.connections):
            tasks.create_task(Loop(wanted, body, key).run(answered))
        await answered.wait()
        print("ready", flush=True)


if __name__ == "__main__":
    uvloop.run(harm(Harm(**json.loads(sys.stdin.readline()))))
