"""What the process that answers searches costs beside a real `answerable up` whose agent acts: how much later a call is
answered, CPU of the gateway and of that process, and its memory; and what it takes when nothing happens.

Part of `./dev bench search`; `--calls COUNT` says how many calls a window has, 0 leaves it out. Windows alternate: in
one the process sleeps (SIGSTOP), in the other it follows the ledger, and what it missed, and somebody searches all the
time. Calls come one after another.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import anyio
from at_rest import children_of, megabytes, ran, row
from governed import SETTINGS, Caller, prepared
from house import House, Server, UnixConnection, until_open

if TYPE_CHECKING:
    from answerable.core.identity.keys.keys import SigningKey

CALLS: Final = 1_500
WINDOWS: Final = 6
REST_SECONDS: Final = 15.0
ASK_SECONDS: Final = 0.05
TOLD: Final = 5_000
DELAY_AIM_MS: Final = 5.0
GATEWAY_AIM_US: Final = 1.0
MEMORY_AIM_MB: Final = 200.0
SEARCH: Final = "/v1/actions?q=agent:support-agent%20since:1h"


async def _key_of(house: House) -> SigningKey:
    async with prepared(house) as made:
        return made.key


def measured(calls: int, *, rest_seconds: float = REST_SECONDS) -> list[dict[str, Any]]:
    """The rows of the table: what, value, unit and the issue's bound."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), SETTINGS + "[search]\nstart_entries = 0\n")
        key = asyncio.run(_key_of(house))
        with house.up() as server:
            until_open(house.data / "search.sock", server.process)
            process = _process_of(server)
            caller = Caller(server.gateway, key)
            try:
                _called(caller, 50)
                asleep, awake, taken = _windows(server, caller, process, calls)
                spent = _caught_up(server, caller, process, calls)
                time.sleep(2.0)
                before = ran(process), ran(server.process.pid)
                time.sleep(rest_seconds)
                after = ran(process), ran(server.process.pid)
                memory = megabytes(process)
            finally:
                caller.close()
    a_second = 1000 / median(at(0.5, one) for one in awake)
    delays = [at(0.99, one) - at(0.99, other) for one, other in zip(awake, asleep, strict=True)]
    idle = [(later[0] - first[0]) / rest_seconds * 100 for later, first in zip(after, before, strict=True)]
    return [
        row("a call, p50, while it sleeps", median(at(0.5, one) for one in asleep), "ms"),
        row("a call, p50, while it follows and answers", median(at(0.5, one) for one in awake), "ms"),
        row("a call, p99, while it sleeps", median(at(0.99, one) for one in asleep), "ms"),
        row("a call, p99, while it follows and answers", median(at(0.99, one) for one in awake), "ms"),
        row("delay at p99, median of the windows", median(delays), "ms", DELAY_AIM_MS),
        row("CPU of the gateway, difference", (median(taken[1]) - median(taken[0])) * 1e6, "us a call"),
        row("CPU of the gateway to tell it", asyncio.run(_told()) / a_second, "us a call", GATEWAY_AIM_US),
        row("CPU of the process to follow", spent / calls * 1e6, "us an action"),
        row("memory of the process, its own pages", memory["Anonymous"], "MB", MEMORY_AIM_MB),
        row("memory of the process (PSS)", memory["Pss"], "MB", MEMORY_AIM_MB),
        row("the process at rest, of a core", idle[0], "%"),
        row("the server at rest, of a core", idle[1], "%", 0.3),
    ]


def _windows(
    server: Server, caller: Caller, process: int, calls: int
) -> tuple[list[list[float]], list[list[float]], tuple[list[float], list[float]]]:
    """Milliseconds of each call, by window, and CPU seconds of the server for a call, by window: asleep and awake."""
    found: tuple[list[list[float]], list[list[float]]] = ([], [])
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * WINDOWS):
        is_awake = number % 2
        asking = None
        if is_awake:
            os.kill(process, signal.SIGCONT)
            # It follows without questions in the windows from which CPU of the gateway is taken.
            if number % 4 == 1:
                asking = multiprocessing.Process(target=_asks, args=(server.control,), daemon=True)
                asking.start()
        else:
            os.kill(process, signal.SIGSTOP)
        cpu = ran(server.process.pid)[0]
        found[is_awake].append(_called(caller, calls))
        if asking is None:
            taken[is_awake].append((ran(server.process.pid)[0] - cpu) / calls)
        else:
            asking.terminate()
            asking.join()
    os.kill(process, signal.SIGCONT)
    return *found, taken


def _caught_up(server: Server, caller: Caller, process: int, calls: int) -> float:
    """CPU seconds of the process for so many actions at once, whose entries it opens from the ledger's files."""
    while server.ask("GET", "/v1/actions")["missing"]:
        pass
    os.kill(process, signal.SIGSTOP)
    _called(caller, calls)
    before = ran(process)[0]
    os.kill(process, signal.SIGCONT)
    while server.ask("GET", "/v1/actions?limit=1")["missing"]:
        pass
    return ran(process)[0] - before


async def _told() -> float:
    """Microseconds of CPU of the server's only work for it without a question: one line, once a second at most."""
    process = await anyio.open_process(["cat"], stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    start = time.process_time()
    for number in range(TOLD):
        await process.stdin.send(b"%d\n" % number)
    spent = time.process_time() - start
    await process.stdin.aclose()
    await process.wait()
    return spent / TOLD * 1e6


def _called(caller: Caller, calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        start = time.perf_counter()
        if refused := caller.call():
            raise RuntimeError(refused)
        found.append((time.perf_counter() - start) * 1000)
    return found


def _asks(control: Path) -> None:
    """Search all the time."""
    while True:
        connection = UnixConnection(control)
        connection.request("GET", SEARCH)
        connection.getresponse().read()
        connection.close()
        time.sleep(ASK_SECONDS)


def _process_of(server: Server) -> int:
    """The child that answers searches."""
    for one in children_of(server.process.pid):
        if b"index" in Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0"):
            return one
    raise RuntimeError("no process answers searches")


def at(share: float, values: list[float]) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
