"""Rotation of 1,000 workloads by a whole `answerable up`: distinct processes, instances and streams, every document in
the ledger before it leaves. What a stream costs when nothing happens, too: the server looks once a minute who it is.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import identity_workloads
from house import WAIT_SECONDS_MAX, agent, with_many_files

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from house import Server

AGENTS: Final = 10
LOOK_SECONDS: Final = 0.05
RECHECK_SECONDS: Final = 60.0
"""`ConnectionLimits.recheck_seconds`."""
SETTLED_SECONDS: Final = 2.0
HALF_LIFE_SECONDS: Final = 1_800.0
"""Of an X.509-SVID as it is by default; its workload has another one by then."""


def registered(count: int) -> str:
    """The agents whose workloads these are, each known by the users that its workloads run as."""
    places = identity_workloads.users(count)
    found = ""
    for number in range(min(AGENTS, len(places))):
        own = ", ".join(f'["unix:uid:{place}"]' for place in places[number::AGENTS])
        found += agent(f"watcher-{number}", f"attestation: [{own}]")
    return found


def workloads_max(count: int) -> int:
    """Of one user the product takes 256 connections at most; a thousand workloads need several users, thus root."""
    return count if len(identity_workloads.users(count)) > 1 else min(count, 250)


def rotation(
    server: Server, socket: Path, count: int, rounds: int, *, window: float = RECHECK_SECONDS
) -> dict[str, float]:
    """What it takes to let this many in, to rotate under them, and to have them; of the rounds the fastest.

    window: how long they are left alone, a minute unless it is only to be seen that this runs.
    """
    bare_begun, bare_cpu = time.monotonic(), server.cpu_seconds()
    time.sleep(window / 6)
    idle = (server.cpu_seconds() - bare_cpu) / (time.monotonic() - bare_begun)
    memory, entries, cpu = server.resident_mb(), server.entries(), server.cpu_seconds()
    ours, theirs = multiprocessing.Pipe()
    command = [sys.executable, identity_workloads.__file__, str(theirs.fileno()), str(socket), str(count)]
    begun = time.monotonic()
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()], preexec_fn=with_many_files)
    theirs.close()
    try:
        started = float(ours.recv()) - begun
        let_in = {
            "workloads": count,
            "let_in_s": started,
            "let_in_cpu_ms_each": (server.cpu_seconds() - cpu) * 1000 / count,
            "let_in_entries_each": (server.entries() - entries) / count,
        }
        found = [_rotated(server, ours, count) for _ in range(rounds)]
        best = min(found, key=lambda one: one["rotation_s"])
        begun, cpu = time.monotonic(), server.cpu_seconds()
        # Each of them is looked at once in this time, wherever in it its minute ends.
        time.sleep(window)
        took, spent = time.monotonic() - begun, server.cpu_seconds() - cpu
        return {
            **let_in,
            **best,
            "stream_kb": (server.resident_mb() - memory) * 1024 / count,
            "recheck_cpu_ms_each": max(spent - idle * took, 0.0) * 1000 / count,
            "idle_cpu_share": idle,
        }
    finally:
        ours.close()
        process.wait(WAIT_SECONDS_MAX)


def _rotated(server: Server, pipe: Connection, count: int) -> dict[str, float]:
    """The CA's key is another one from now on; until all hold an SVID that it signed."""
    time.sleep(SETTLED_SECONDS)
    entries, cpu, begun = server.entries(), server.cpu_seconds(), time.monotonic()
    server.ask("POST", "/v1/trust-domain/rotate", {"activate": True})
    rotated = time.monotonic()
    while not (answers := _told(pipe, begun)):
        if time.monotonic() - begun > WAIT_SECONDS_MAX:
            raise TimeoutError("not all have heard of the rotation")
        time.sleep(LOOK_SECONDS)
    signers = {signer for _, _, signer in answers}
    if len(signers) > 1:
        # Some had an answer between the two changes that a rotation is: a stream hears of the second as well.
        time.sleep(SETTLED_SECONDS)
        answers = _told(pipe, begun)
        signers = {signer for _, _, signer in answers}
    if len(signers) != 1 or len({name for _, name, _ in answers}) != count:
        raise SystemExit(f"{len(signers)} authorities signed what {count} workloads hold, expected one")
    last = max(at for at, _, _ in answers)
    return {
        "rotation_s": last - begun,
        "rotation_asked_s": rotated - begun,
        "rotation_cpu_ms_each": (server.cpu_seconds() - cpu) * 1000 / count,
        "rotation_entries_each": (server.entries() - entries) / count,
    }


def _told(pipe: Connection, stamp: float) -> list[tuple[float, str, bytes]]:
    pipe.send(stamp)
    found: list[tuple[float, str, bytes]] = pipe.recv()
    return found
