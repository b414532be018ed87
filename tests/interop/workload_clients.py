"""Workloads that others' libraries made, each in a process of its own, and what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from set_up import ROOT
from tests.worlds.workload_api import WAIT_SECONDS_MAX

PYTHON_CLIENT = (sys.executable, str(ROOT / "tests/interop/spiffe_client.py"))
GO_FOLDER = ROOT / "tests/interop/go_spiffe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A client that runs."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def told(self) -> dict[str, Any]:
        """Its next line; fails with what it complained of when there is none."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            line = await self.process.stdout.readline()
            if not line:
                raise AssertionError((await self.process.stderr.read()).decode()[-2000:])
        found: dict[str, Any] = json.loads(line)
        return found

    async def told_of(self, event: str) -> dict[str, Any]:
        """Its next line about that; others are passed over."""
        while (line := await self.told())["event"] != event:
            continue
        return line

    def tell(self, line: str) -> None:
        """Write to its input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")


@contextlib.asynccontextmanager
async def running(socket: Path, *command: str) -> AsyncIterator[Workload]:
    """The process, killed in the end if it still runs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=kept | {"SPIFFE_ENDPOINT_SOCKET": f"unix://{socket}"},
    )
    try:
        yield Workload(process=process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def met(socket: Path, listener: tuple[str, ...], caller: tuple[str, ...]) -> None:
    """Both fetch SVIDs, and meet in mutual TLS, each knowing whom it expects."""
    async with running(socket, *listener, "listen") as one, running(socket, *caller, "connect") as two:
        ids = [(await one.told_of("ready"))["id"], (await two.told_of("ready"))["id"]]
        assert ids == [f"spiffe://ours.example/agent/tester/{pid}" for pid in (one.pid, two.pid)]
        one.tell(ids[1])
        port = (await one.told_of("listening"))["port"]
        two.tell(ids[0])
        two.tell(str(port))
        assert (await two.told_of("peer"))["id"] == ids[0]
        assert (await one.told_of("peer"))["id"] == ids[1]
        assert (await two.told_of("echo"))["text"] == "well met"
