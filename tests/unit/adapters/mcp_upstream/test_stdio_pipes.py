"""The pipes of a process: the order of its lines, who waits for whom, and the end of each pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import uvloop

from answerable.adapters.mcp_upstream.stderr_log import StderrLog
from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect
from answerable.adapters.mcp_upstream.stdio_pipes import Pipes
from tests.worlds.gateway import until

pytestmark = pytest.mark.requirement("GATE-21")


class Process:
    """A shell script, whose lines that begin with `t` are taken at once."""

    def __init__(self, script: str, *, write_seconds_max: float = 10.0) -> None:
        self._script = script
        self.taken: list[bytes] = []
        self.direct = StdioDirect()
        self.gone = anyio.Event()
        self.log = StderrLog(None, bytes_max=1_000)
        self.pipes: Pipes[bytes] = Pipes(
            split=lambda data: data.splitlines(),
            takes=self._takes,
            requests=self.direct,
            log=self.log,
            gone=self.gone.set,
            write_seconds_max=write_seconds_max,
        )

    def _takes(self, line: bytes) -> bool:
        if line.startswith(b"t"):
            self.taken.append(line)
        return line.startswith(b"t")

    async def __aenter__(self) -> Process:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.subprocess_exec(lambda: self.pipes, "sh", "-c", self._script)
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._transport.close()


async def what_could_be_taken_at_once_waits_behind_a_line_that_waits(_: Path) -> None:
    async with Process("printf 't1\\nq1\\nt2\\n'; echo trouble >&2") as process:
        with anyio.fail_after(10):
            assert [await process.pipes.next(), await process.pipes.next()] == [b"q1", b"t2"]
            with pytest.raises(anyio.EndOfStream):
                await process.pipes.next()
            await process.gone.wait()
        assert process.taken == [b"t1"]
        assert process.log.tail() == ("trouble",)


async def nothing_more_is_read_while_a_line_waits(folder: Path) -> None:
    said = folder / "said"
    async with Process(f"echo q1; read go; echo t1; echo q2; echo > '{said}'; read go") as process:
        with anyio.fail_after(10):
            await until(lambda: process.pipes._waiting)
            process.direct.put(b"go")
            await until(said.exists)
            assert (list(process.pipes._waiting), process.taken) == ([b"q1"], [])
            assert [await process.pipes.next(), await process.pipes.next()] == [b"q1", b"q2"]
            assert process.taken == [b"t1"]


async def requests_to_a_process_that_reads_slowly_go_out_in_their_order(_: Path) -> None:
    line = b"x" * 50_000
    async with Process("read go; while read more; do echo q; done") as process:
        with anyio.fail_after(20):
            process.direct.put(b"go")
            for _ in range(20):
                process.direct.put(line)
                await anyio.lowlevel.checkpoint()
            for _ in range(20):
                assert await process.pipes.next() == b"q"
        assert not process.gone.is_set()


async def a_process_that_reads_nothing_ends_its_connection(_: Path) -> None:
    async with Process("sleep 20", write_seconds_max=0.05) as process:
        with anyio.fail_after(10):
            for _ in range(20):
                process.direct.put(b"x" * 50_000)
                await anyio.lowlevel.checkpoint()
            await process.gone.wait()
            # What is asked from here on is written to nobody.
            process.direct.go_on()
            process.direct.put(b"late")
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize(
    "history",
    [
        what_could_be_taken_at_once_waits_behind_a_line_that_waits,
        nothing_more_is_read_while_a_line_waits,
        requests_to_a_process_that_reads_slowly_go_out_in_their_order,
        a_process_that_reads_nothing_ends_its_connection,
    ],
)
def test_pipes_on_both_event_loops(
    history: Callable[[Path], Coroutine[Any, Any, None]],
    run: Callable[[Coroutine[Any, Any, None]], None],
    tmp_path: Path,
) -> None:
    run(history(tmp_path))
