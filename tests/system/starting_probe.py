"""A process that starts another as the product does, in the product's event loop, and tells what became of it.

Its words: `run`, and what the other is started with. `files` is the number of open files that both may have,
`ended_by` a signal that it sends. With `through`, another of this program does all that.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream

from answerable.adapters.uvicorn_front.loop import run

PROBE = str(Path(__file__).with_name("process_probe.py"))


async def read(stream: ByteReceiveStream | None) -> str:
    """All of it."""
    found = b""
    if stream is not None:
        async for piece in stream:
            found += piece
    return found.decode()


async def started(how: dict[str, Any], *, files: int = 0, ended_by: int = 0) -> dict[str, Any]:
    """What is to be told."""
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    process = await anyio.open_process([sys.executable, PROBE, "7", "é", ""], **how)
    assert process.stdin is not None
    # It waits for its input, and loads no module of others by itself.
    forked = "pydantic" in await anyio.Path(f"/proc/{process.pid}/maps").read_text()
    if ended_by:
        process.send_signal(signal.Signals(ended_by))
    else:
        await process.stdin.send("ü\n".encode())
    await process.stdin.aclose()
    said, complained = await read(process.stdout), await read(process.stderr)
    code = await process.wait()
    told = json.loads(said) if said else {}
    ours = told.pop("parent", os.getpid()) == os.getpid()
    return {"forked": forked, "code": code, "said": told, "complained": complained, "ours": ours}


async def passed_on(asked: dict[str, Any]) -> str:
    """What another of this program tells."""
    done = await anyio.run_process([sys.executable, __file__, "run", json.dumps(asked)])
    return done.stdout.decode()


if __name__ == "__main__":
    asked = json.loads(sys.argv[2])
    if asked.pop("through", False):
        print(run(lambda: passed_on(asked)), end="")
        sys.exit()
    print(json.dumps(run(lambda: started(asked.pop("how", {}), **asked))))
