"""What a hostile or broken server can answer where a witness is asked: bounded, and never more than Unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from answerable.adapters.uvicorn_front import serve
from answerable.adapters.witness_http import HttpWitness
from answerable.core.tlog.cosignature import verified_cosignatures
from answerable.core.tlog.note import Note, VerifierKey
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Unavailable
from answerable.ports.witness import Cosigned, Denied, Remembered, Witness
from tests.worlds.witness import ORIGIN, Log, cosigners, desk, door

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WITNESS-12")]

TRUE = Log()
REQUEST = AddCheckpoint(old_size=0, proof=(), checkpoint=TRUE.note(3))
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def keys() -> tuple[VerifierKey, ...]:
    return tuple(one.key for one in cosigners())


@pytest.fixture
def place() -> Iterator[Path]:
    with TemporaryDirectory(prefix="witness-") as folder:
        yield Path(folder) / "s"


def asked(address: str, seconds: float = 5.0) -> HttpWitness:
    return HttpWitness(name="w1", address=address, keys=keys, answer_seconds_max=seconds)


@asynccontextmanager
async def saying(place: Path, talk: Talk) -> AsyncIterator[None]:
    """A server on a Unix socket that reads a request and then does anything."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.partition(b":")[2]))
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(connected, place)
    try:
        yield
    finally:
        server.close()


def fixed(status: str, content: bytes, media_type: str = "text/plain") -> Talk:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()

    return talk


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def leaving(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
    await writer.drain()


async def test_a_real_witness_is_asked_over_a_socket_and_over_tcp(tmp_path: Path, place: Path) -> None:
    with desk(tmp_path / "w", TRUE) as at:
        bound: list[str] = []
        up, stop = anyio.Event(), anyio.Event()

        def started(listeners: object) -> None:
            address = getattr(listeners, "tcp_address", None)
            assert address is not None
            bound.extend([f"unix:{place}", f"http://{address[0]}:{address[1]}/"])
            up.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(serve, door(at), tcp=("127.0.0.1", 0), uds=place, started=started, stop=stop)
            )
            await up.wait()
            for address in bound:
                async with asked(address) as witness:
                    port: Witness = witness
                    assert port.name == "w1"
                    known = 0 if address == bound[0] else 3
                    answer = await port.add_checkpoint(REQUEST)
                    if known:
                        assert answer == Remembered(size=3)
                        again = AddCheckpoint(old_size=3, proof=(), checkpoint=TRUE.note(3))
                        answer = await port.add_checkpoint(again)
                    assert isinstance(answer, Cosigned)
                    note = Note.parse(TRUE.text(3) + b"\n" + answer.signatures)
                    assert verified_cosignatures(note, cosigners=port.keys())
                    copy = await port.newest(ORIGIN)
                    assert copy is not None
                    assert Note.parse(copy).text == TRUE.text(3)
                    assert await port.newest("log.example/two") is None
                    other = AddCheckpoint(old_size=0, proof=(), checkpoint=Log(origin="b.example").note(1))
                    assert await port.add_checkpoint(other) == Denied(why="unknown log")
            stop.set()


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (endless, "witness.answer"),
        (dripping, "witness.unreachable"),
        (silent, "witness.unreachable"),
        (leaving, "witness.unreachable"),
        (fixed("200 OK", b"x" * 65_537), "witness.answer"),
        (fixed("302 Found\r\nlocation: http://127.0.0.1:1/", b""), "witness.answer"),
        (fixed("500 Oops", b"sorry"), "witness.failed"),
        (fixed("503 Oops", b"\n"), "witness.answer"),
        (fixed("503 Oops", b"<p>sorry</p>", "text/html"), "witness.answer"),
        (fixed("204 No Content", b""), "witness.answer"),
        (fixed("409 Conflict", b"8\n"), "witness.answer"),
        (fixed("409 Conflict", b"8", "text/x.tlog.size"), "witness.answer"),
        (fixed("409 Conflict", b"08\n", "text/x.tlog.size"), "witness.answer"),
        (fixed("409 Conflict", b"-8\n", "text/x.tlog.size"), "witness.answer"),
        (fixed("409 Conflict", b"18446744073709551616\n", "text/x.tlog.size"), "witness.answer"),
        (fixed("409 Conflict", b"8\n" * 20_000, "text/x.tlog.size"), "witness.answer"),
        (fixed("409 Conflict", b"\xff\n", "text/x.tlog.size"), "witness.answer"),
        (fixed("NOT HTTP", b""), "witness.unreachable"),
    ],
)
async def test_whatever_it_answers_it_is_unavailable_in_bounded_time(
    place: Path, talk: Talk, code: str
) -> None:
    # Only these two are waited for to the end; what the others say is heard on however busy a machine.
    seconds = 0.5 if talk in (dripping, silent) else 60.0
    async with saying(place, talk), asked(f"unix:{place}", seconds=seconds) as witness:
        with pytest.raises(Unavailable) as told:
            await witness.add_checkpoint(REQUEST)
        assert (told.value.code, told.value.port) == (code, "witness")


async def test_what_a_witness_says_of_its_failure_is_told_cut_and_in_quotes(place: Path) -> None:
    said = b"witness.clock_back: set `the` clock\x1b[31m\xff\nsecond line"
    async with saying(place, fixed("503 No", said)), asked(f"unix:{place}") as witness:
        with pytest.raises(Unavailable) as told:
            await witness.add_checkpoint(REQUEST)
        assert told.value.message == (
            "witness `w1` cannot cosign (status 503): `witness.clock_back: set 'the' clock\ufffd[31m\ufffd`"
        )
    async with saying(place, fixed("503 No", b"x" * 65_000)), asked(f"unix:{place}") as witness:
        with pytest.raises(Unavailable) as told:
            await witness.add_checkpoint(REQUEST)
        assert len(told.value.message) < 400


@pytest.mark.parametrize(
    ("status", "why"),
    [(400, "malformed"), (403, "unsigned"), (404, "unknown log"), (422, "inconsistent")],
)
async def test_each_denial_is_told_apart(place: Path, status: int, why: str) -> None:
    async with saying(place, fixed(f"{status} No", b"whatever")), asked(f"unix:{place}") as witness:
        assert await witness.add_checkpoint(REQUEST) == Denied(why=why)


async def test_a_size_is_read_and_a_copy_is_bounded(place: Path) -> None:
    sized = fixed("409 Conflict", b"8\n", "text/x.tlog.size; charset=utf-8")
    async with saying(place, sized), asked(f"unix:{place}") as witness:
        assert await witness.add_checkpoint(REQUEST) == Remembered(size=8)
    async with saying(place, endless), asked(f"unix:{place}") as witness:
        with pytest.raises(Unavailable):
            await witness.newest(ORIGIN)


@pytest.mark.parametrize("address", ["unix:/nowhere/at-all", "http://127.0.0.1:1/", "http://[::1/x"])
async def test_an_address_where_nobody_is_is_unavailable(address: str) -> None:
    async with asked(address, seconds=1.0) as witness:
        with pytest.raises(Unavailable) as told:
            await witness.add_checkpoint(REQUEST)
        assert told.value.code == "witness.unreachable"
