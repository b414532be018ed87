"""A sidecar as a process of its own, beside an agent that asks for a sub-agent with every line it is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.worlds.up import WAIT_SECONDS_MAX, Attached, environment, until

ASKING = Path(__file__).parents[1] / "system" / "asking_agent.py"


@contextlib.asynccontextmanager
async def beside_agent(said: Path, *line: str) -> AsyncIterator[Attached]:
    """The agent, once it is ready. line: starts the sidecar, without the command behind it. said: what it tells."""
    with said.open("ab") as told:
        process = await asyncio.create_subprocess_exec(
            *line,
            "--",
            sys.executable,
            str(ASKING),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=told,
            env=environment(),
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    written, read = process.stdin, process.stdout
    one = Attached(name="sidecar", pid=process.pid, tell=lambda text: written.write(text.encode() + b"\n"))

    async def listen() -> None:
        async for text in read:
            one.hear(text)

    listening = asyncio.create_task(listen())
    try:
        await until(lambda: one.of("ready"), "the agent")
        yield one
        written.close()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await process.wait()
    finally:
        # With the agent, which would hold its end of our pipe.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await listening
