"""The load of the gateway benchmark: closed loops over raw connections, with every request built beforehand.

Reads one JSON object from standard input, runs, and prints one: see `Load` and `Result`. Nothing here is measured but
the server: the client signs before the clock starts, parses answers with httptools and checks every one of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import httptools
import msgspec
import uvloop

from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.proof.http_signature import (
    SignedRequest,
    parse_signature,
    sign_request,
    signature_base,
)
from answerable.core.identity.proof.session import (
    EPHEMERAL_BYTES,
    SESSION_TARGET,
    SessionKey,
    derive_key,
    encode_offer,
    ephemeral_public,
    parse_answer,
)
from answerable.sdk.keyfile import load_key

ARGUMENTS: dict[str, JSONValue] = {
    "case_id": "4711",
    "fields": ["name", "email", "plan", "notes"],
    "limit": 20,
}
ANSWER = "4711: name, email, plan, notes"
UNKNOWN_EPOCH = "0" * 26
WARM_UP = 100
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """key: path of the agent's key file, empty for a server that asks for no proof. pids: processes whose CPU counts.

    calls_max: requests that are built. seconds: of the measured part.
    """

    host: str
    port: int
    path: str
    connections: int
    seconds: float
    calls_max: int
    pids: list[int]
    key: str = ""
    mandate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """latencies_ms: p50 and p99. cpu_us: per call, one for each pid. fault: the first answer that was no success."""

    calls: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: list[float]
    errors: int = 0
    fault: str = ""


def call(number: int) -> bytes:
    """A `tools/call` of about 0.7 KiB, as 2026-07-28 clients send it."""
    return encode(
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "tools/call",
            "params": {
                "name": "customer_read",
                "arguments": ARGUMENTS,
                "_meta": {
                    "answerable/reason": "the customer asks why the last invoice is higher; I look at plan and notes",
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                },
            },
        }
    )


def http(load: Load, body: bytes, *, target: str, proof: SignedRequest | None = None) -> bytes:
    """One HTTP request as bytes."""
    lines = [
        f"POST {target} HTTP/1.1",
        f"host: {load.host}:{load.port}",
        "content-type: application/json",
        "accept: application/json, text/event-stream",
        f"content-length: {len(body)}",
    ]
    if target != SESSION_TARGET.decode():
        lines += ["mcp-protocol-version: 2026-07-28", "mcp-method: tools/call", "mcp-name: customer_read"]
    if proof is not None:
        lines += [
            f"content-digest: {proof.content_digest.decode()}",
            f"signature-input: {proof.signature_input.decode()}",
            f"signature: {proof.signature.decode()}",
        ]
        lines += [f"answerable-mandate: {load.mandate}"] if proof.mandate else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Proofs:
    """A session with the gateway, opened by one signed handshake."""

    def __init__(self, load: Load, key: SigningKey) -> None:
        self._load = load
        self._key = key
        self._authority = f"{load.host}:{load.port}".encode()

    async def open(self) -> None:
        """Shake hands, once more under the epoch that the first refusal tells."""
        status, _, epoch = await self._offer(UNKNOWN_EPOCH)
        if status == 401 and epoch:
            status, *_ = await self._offer(epoch)
        if status != 200:
            raise SystemExit(f"the session handshake was answered {status}")

    async def _offer(self, epoch: str) -> tuple[int, bytes, str]:
        private = os.urandom(EPHEMERAL_BYTES)
        offer = SignedRequest(
            method=b"POST",
            authority=self._authority,
            target=SESSION_TARGET,
            body=encode_offer(ephemeral_public(private)),
        )
        nonce = urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
        signed = sign_request(
            offer,
            algorithm=self._key.algorithm,
            keyid=self._key.public.thumbprint,
            created=int(time.time()),
            nonce=f"{epoch}.{nonce}",
            sign=self._key.sign,
        )
        request = http(self._load, offer.body, target=SESSION_TARGET.decode(), proof=signed)
        status, head, body = await exchange(self._load, request)
        if status == 200:
            base = signature_base(signed, parse_signature(signed).parameters)
            answer = parse_answer(body)
            self._session = answer.session
            self._mac = SessionKey(
                derive_key(private=private, public=answer.x25519, signature_base=base, answer=body)
            ).mac
        told = head.get(b"www-authenticate", b"").decode().partition('epoch="')[2][:26]
        return status, body, told

    def prove(self, number: int, body: bytes) -> SignedRequest:
        """The MAC over one message."""
        message = SignedRequest(
            method=b"POST",
            authority=self._authority,
            target=self._load.path.encode(),
            body=body,
            mandate=self._load.mandate.encode(),
        )
        return sign_request(
            message,
            algorithm="hmac-sha256",
            keyid=self._session,
            created=int(time.time()),
            nonce=str(number),
            sign=self._mac,
        )


class Connection(asyncio.Protocol):
    """One closed loop: send, read the whole answer, check it, send the next. done: when nothing is left to send."""

    def __init__(self, requests: Iterator[bytes], run: Run) -> None:
        self._requests = requests
        self._run = run
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def next(self) -> None:
        """Send the next request, if there is one and time is left."""
        self._sent = time.perf_counter()
        request = next(self._requests, None) if self._sent < self._run.ends_at else None
        if request is None:
            self._transport.close()
            return
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        self._run.note(time.perf_counter() - self._sent, self._parser.get_status_code(), self._body)
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._run.note(0.0, 0, f"the connection broke: {exc}".encode())
        if not self.done.done():
            self.done.set_result(None)


class Run:
    """What came of the calls of one phase. ends_at: on the clock of `time.perf_counter`."""

    def __init__(self) -> None:
        self.ends_at = 0.0
        self.took: deque[float] = deque()
        self.errors = 0
        self.fault = ""

    def note(self, seconds: float, status: int, body: bytes) -> None:
        """One answer; only the expected one counts as a success."""
        self.took.append(seconds)
        try:
            result = msgspec.json.decode(body)["result"]
            right = status == 200 and not result.get("isError") and result["content"][0]["text"] == ANSWER
        except (msgspec.DecodeError, KeyError, TypeError, IndexError):
            right = False
        if not right:
            self.errors += 1
            self.fault = self.fault or f"HTTP {status}: {body[:300].decode(errors='replace')}"


async def phase(load: Load, requests: Iterator[bytes], seconds: float) -> tuple[Run, float]:
    """Connect, then run until requests or time are over; returns what came of it and how long it took."""
    run = Run()
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Connection(requests, run), load.host, load.port))[1]
        for _ in range(load.connections)
    ]
    begun = time.perf_counter()
    run.ends_at = begun + seconds
    for connection in made:
        connection.next()
    await asyncio.gather(*(connection.done for connection in made))
    return run, time.perf_counter() - begun


class _Answer:
    """Collects one answer."""

    def __init__(self) -> None:
        self.head: dict[bytes, bytes] = {}
        self.body = b""
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


async def exchange(load: Load, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(load.host, load.port)
    writer.write(request)
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.whole:
        parser.feed_data(await reader.read(65_536))
    writer.close()
    return parser.get_status_code(), answer.head, answer.body


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


async def measured(load: Load) -> Result:
    """Build, warm up, measure."""
    proofs = Proofs(load, load_key(Path(load.key))) if load.key else None
    if proofs is not None:
        await proofs.open()
    built = []
    for number in range(1, load.calls_max + 1):
        body = call(number)
        proof = proofs.prove(number, body) if proofs is not None else None
        built.append(http(load, body, target=load.path, proof=proof))
    requests = iter(built)
    warm, _ = await phase(
        load, iter([next(requests) for _ in range(min(WARM_UP, load.calls_max // 2))]), 30.0
    )
    before = [cpu_seconds(pid) for pid in load.pids]
    run, wall = await phase(load, requests, load.seconds)
    used = [cpu_seconds(pid) - then for pid, then in zip(load.pids, before, strict=True)]
    took = sorted(run.took)
    calls = len(took)
    return Result(
        calls=calls,
        rate=calls / wall,
        p50_ms=took[calls // 2] * 1000,
        p99_ms=took[calls * 99 // 100] * 1000,
        cpu_us=[seconds / calls * 1e6 for seconds in used],
        errors=warm.errors + run.errors,
        fault=warm.fault or run.fault,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(measured(Load(**json.load(sys.stdin)))))))
