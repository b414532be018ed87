"""What one caller that means harm costs another: `./dev bench neighbours [--json]`.

`answerable up` on two cores, over HTTP on loopback. One agent, the victim, makes a call, waits 20 ms and makes the
next. Beside it another agent sends one hostile body over and over, on 1 and on 64 connections; the victim's p50 and p99
are given over those it has alone, in turns within one run, so that a busy machine slows both sides of a ratio.
Meanwhile agents that nobody knows are stopped: the time from asking the control door to its answer.

The bodies are those that stalled everybody once (350,000 members, 4 MB of text), the largest that are let in, many
small ones, calls without a mandate, and those of an agent that is held and of a key that nobody registered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import uvloop
from course import MANDATE, OWNERSHIP, Scratch
from gateway import HOST, PEERS, Peer, answerable

from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.system import SystemEntropy
from answerable.core.canonical import JSONValue
from answerable.sdk.keyfile import load_key

sys.path.insert(0, str(PEERS))
from load_client import Load, Proofs, call, exchange, http

HOSTILE, HELD, STOPPED = "hostile", "held", "stopped"
AGENTS = (HOSTILE, HELD, STOPPED)
CONNECTIONS = (1, 64)
SECONDS = 6.0
THINKS_SECONDS = 0.02
SETTLES_SECONDS = 0.3
STOPS = 2
ROUNDS = 4
KINDS = {
    "350,000 members": (HOSTILE, "members"),
    "330,000 arguments": (HOSTILE, "arguments"),
    "4 MB of text": (HOSTILE, "text"),
    "members, the most let in": (HOSTILE, "members_let_in"),
    "arguments, the most let in": (HOSTILE, "arguments_let_in"),
    "text, the most let in": (HOSTILE, "text_let_in"),
    "many small": (HOSTILE, "small"),
    "calls without a mandate": (HOSTILE, "calls"),
    "held agent": (HELD, "members"),
    "unknown key": ("nobody", "members"),
}


class Victim:
    """One agent that makes calls, one after another, with a pause between them."""

    def __init__(self, peer: Peer) -> None:
        self._load = Load(
            host=HOST, port=peer.port, path=peer.path, connections=1, seconds=0, calls_max=0, pids=[],
            key=peer.key, mandate=str(MANDATE),
        )  # fmt: skip
        self._proofs = Proofs(self._load, load_key(Path(peer.key)))
        self._number = 0

    async def open(self) -> None:
        """Shake hands, and warm up."""
        await self._proofs.open()
        await self.took(1.0)

    async def took(self, seconds: float) -> list[float]:
        """Milliseconds of each call meanwhile. Ends the program when one is refused."""
        took: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._number += 1
            body = call(self._number)
            request = http(
                self._load, body, target=self._load.path, proof=self._proofs.prove(self._number, body)
            )
            begun = time.perf_counter()
            status, _, answer = await exchange(self._load, request)
            took.append((time.perf_counter() - begun) * 1000)
            if status != 200 or b'"isError":true' in answer:
                raise SystemExit(f"the victim was answered HTTP {status}: {answer[:300]!r}")
            await asyncio.sleep(THINKS_SECONDS)
        return took


def at(took: list[float], percent: int) -> float:
    """That percentile."""
    return sorted(took)[len(took) * percent // 100]


async def stops(data: Path, seconds: float) -> list[float]:
    """How long stops take in that time, in milliseconds, from asking to the answer that each is in force."""
    took: list[float] = []
    transport = httpx2.AsyncHTTPTransport(uds=str(data / "control.sock"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://a", timeout=60) as control:
        for number in range(STOPS):
            await asyncio.sleep(seconds / STOPS)
            begun = time.perf_counter()
            body = {"kind": "agent", "name": f"{STOPPED}-{number}-{time.time_ns()}"}
            answer = await control.post("/v1/holds", json=body)
            took.append((time.perf_counter() - begun) * 1000)
            answer.raise_for_status()
    return took


@contextmanager
def harming(peer: Peer, data: Path, kind: str, connections: int) -> Iterator[subprocess.Popen[str]]:
    """The hostile agent at work, in a process of its own."""
    agent, body = KINDS[kind]
    wanted = {
        "host": HOST, "port": peer.port, "path": peer.path, "connections": connections,
        "key": str(data / f"{agent}.jwk"), "body": body,
    }  # fmt: skip
    started = subprocess.Popen(
        [sys.executable, str(PEERS / "hostile_client.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert started.stdin is not None and started.stdout is not None  # noqa: PT018
        started.stdin.write(json.dumps(wanted) + "\n")
        started.stdin.flush()
        if started.stdout.readline().strip() != "ready":
            raise SystemExit("the hostile client did not start")
        yield started
    finally:
        started.kill()
        started.wait()


async def measured(peer: Peer, data: Path, kind: str, connections: int, seconds: float) -> dict[str, object]:
    """One row: alone and beside the hostile agent, which stands still meanwhile, in turns."""
    victim = Victim(peer)
    await victim.open()
    alone: list[float] = []
    beside: list[float] = []
    stopped: list[float] = []
    with harming(peer, data, kind, connections) as hostile:
        for _ in range(ROUNDS):
            hostile.send_signal(signal.SIGSTOP)
            await asyncio.sleep(SETTLES_SECONDS)
            alone += await victim.took(seconds / ROUNDS)
            hostile.send_signal(signal.SIGCONT)
            took, stops_took = await asyncio.gather(
                victim.took(seconds / ROUNDS), stops(data, seconds / ROUNDS)
            )
            beside += took
            stopped += stops_took
    return {
        "hostile": kind,
        "connections": connections,
        "calls": len(beside),
        "alone_p50_ms": round(at(alone, 50), 2),
        "p50_ratio": round(at(beside, 50) / at(alone, 50), 2),
        "alone_p99_ms": round(at(alone, 99), 2),
        "p99_ratio": round(at(beside, 99) / at(alone, 99), 2),
        "stop_ms": round(at(stopped, 50), 1),
    }


def others(data: Path) -> list[JSONValue]:
    """The documents of the other agents, whose keys are made here."""
    for name in (*AGENTS, "nobody"):
        open_or_create_key(data / f"{name}.jwk", entropy=SystemEntropy())
    return [
        {
            "apiVersion": "answerable/v1",
            "kind": "Agent",
            "metadata": {"name": name},
            "spec": {
                "useCase": "support",
                "environment": "production",
                "keys": [json.loads(load_key(data / f"{name}.jwk").public.jwk)],
                "ownership": OWNERSHIP,
            },
        }
        for name in AGENTS
    ]


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--seconds", type=float, default=SECONDS, help="of each row")
    arguments.add_argument("--only", default="", help="rows whose name holds this text")
    arguments.add_argument("--connections", type=int, nargs="*", default=CONNECTIONS)
    options = arguments.parse_args()
    # A benchmark that is stopped must not leave its servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    rows: list[dict[str, object]] = []
    with Scratch() as scratch, ExitStack() as stack:
        directory = scratch.absolute()
        peer = answerable(stack, directory, "stdio", "", more=others)
        data = directory / "stdio"
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(data / "control.sock"))) as control:
            control.post("http://a/v1/holds", json={"kind": "agent", "name": HELD}).raise_for_status()
        for kind in (kind for kind in KINDS if options.only in kind):
            for connections in options.connections:
                row = uvloop.run(measured(peer, data, kind, connections, options.seconds))
                rows.append(row)
                if not options.json:
                    print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    figures = {
        f"{name}_worst_c{connections}": max(
            float(str(row[name])) for row in rows if row["connections"] == connections
        )
        for name in ("p50_ratio", "p99_ratio", "stop_ms")
        for connections in options.connections
    }
    load = os.getloadavg()[0]
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}"
    )
    if options.json:
        print(json.dumps({"bench": "neighbours", "machine": machine, "rows": rows, "figures": figures}))
        return
    print(f"\n{machine}")
    for name, value in figures.items():
        print(f"  {name:36} {value:10.2f}")


if __name__ == "__main__":
    main()
