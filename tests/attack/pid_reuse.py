"""One process gets a token over the gateway's Unix socket and ends; the next one with its number shows it.

Run in a PID namespace of its own, with a folder; says as JSON what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from answerable.core.ledger.tags import Tag
from tests.system.test_bound_tokens import acting, doors, exchanging

CLIENT = """
import http.client, json, os, socket, sys
for line in sys.stdin:
    place, path, body, headers = json.loads(line)
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(place)
    connection.request("POST", path, body.encode(), headers)
    answer = connection.getresponse()
    print(json.dumps([os.getpid(), answer.status, answer.read().decode()]), flush=True)
"""
LAST = Path("/proc/sys/kernel/ns_last_pid")


class Client:
    """A process that sends what it is told."""

    def __init__(self, process: asyncio.subprocess.Process, uds: Path) -> None:
        self.process, self._uds = process, uds

    async def asked(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, int, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(self._uds), path, body, headers]).encode() + b"\n")
        found = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 60))
        return int(found[0]), int(found[1]), str(found[2])

    async def ended(self) -> None:
        self.process.kill()
        await self.process.wait()


async def started(uds: Path) -> Client:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, stdin=pipe, stdout=pipe)
    return Client(process, uds)


def ask_for(number: int) -> None:
    """Of the kernel, for the next process of this namespace."""
    LAST.write_text(str(number - 1))


async def again(uds: Path, number: int) -> Client:
    """A process with this number. Somebody else may be quicker: then the next one is asked for it."""
    for _ in range(50):
        ask_for(number)
        client = await started(uds)
        if client.process.pid == number:
            return client
        await client.ended()
    raise SystemExit("last_pid: the number was never given again")


def went_well(status: int, text: str) -> bool:
    lines = [one.removeprefix("data: ") for one in text.splitlines() if one.startswith("data: {")]
    found = json.loads(lines[-1] if lines else text)
    return status == 200 and "error" not in found and not found["result"].get("isError", False)


async def main(home: Path) -> dict[str, Any]:
    async with doors(home, unixUids=[os.getuid()]) as ours:
        first = await started(ours.uds)
        pid, status, text = await first.asked(*exchanging())
        assert status == 200, text
        chain = json.loads(text)["delegation"]
        _, *acted = await first.asked(*acting(chain))
        await first.ended()
        second = await again(ours.uds, pid)
        other, *stolen = await second.asked(*acting(chain))
        _, own, _ = await second.asked(*exchanging())
        await second.ended()
        refusals = [one["code"] for one in ours.world.entries(Tag.REFUSAL)]
    return {
        "numbers": [pid, other],
        "first": went_well(*acted),
        "second": went_well(*stolen),
        "refusals": refusals,
        "own": own,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
