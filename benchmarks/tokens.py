"""What tokens and chains of hops cost: `./dev bench tokens [--json] [--quick]`.

- A token and chains of 3 and 5 hops at the gateway, known already and not, each with the question whether anything of
  it was revoked; beside a look into a dict and beside the bare signatures of the same keys.
- An exchange, durable before it is answered, one after another and many at once; beside one fdatasync and one row in
  bare SQLite. Without HTTP.
- A DPoP proof per call, which presents a token; the whole walk with a chain of 3 hops and without.
- A root with 10,000 descendants revoked under two whole `answerable up`; a start with 300,000 live grants, and with a
  million live tokens, until the first action is answered. `./dev bench revocation` measures the registers alone.

CPU time of the process, the best of some rounds; ratios hold on a noisy machine, figures do not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypedDict

import course
import dpop
import fencing
import raw_log
import restarting
import sqlite_log
import uvloop
import walk
from handing_on import MANDATE, HandedOn, handed_on, wanted

from answerable.core.action.request import action_request
from answerable.core.identity.keys.keys import verifying_key
from answerable.flows.tokens.exchange_token import exchange_token
from answerable.flows.validity.refuse_revoked import judged_now
from answerable.flows.validity.verify_lineage import presented, verify_lineage
from answerable.flows.walk.verify_request import verify_request

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.keys.keys import Algorithm
    from answerable.flows.tokens.find_parent import Exchange

ALGORITHMS: tuple[tuple[str, Algorithm], ...] = (("Ed25519", "ed25519"), ("ES256", "ecdsa-p256-sha256"))
TIMES = 3_000
EXCHANGES = 1_000
CLIENTS = 16
WALK_CALLERS = 64
WALK_HOPS = 3
WALKED = 6_000
BEST_OF = 3
ROUNDS = 5
SYNC_RECORD_BYTES = 1024


class Line(TypedDict):
    """One figure. aim: at most this, None where there is none."""

    name: str
    value: float
    unit: str
    aim: float | None


def line(name: str, value: float, unit: str, aim: float | None = None) -> Line:
    """One figure, as it is printed."""
    return {"name": name, "value": round(value, 3), "unit": unit, "aim": aim}


def verifying(directory: Path, name: str, algorithm: Algorithm, times: int) -> list[Line]:
    """Chains that agents signed with keys of one kind, known and not, in µs of CPU."""
    world = handed_on(directory, algorithm=algorithm)
    key, message = world.desk.keys[0], b"x" * 1_000
    bare = partial(verifying_key(key.public).verify, message, key.sign(message))
    found: list[Line] = []
    for hops in (1, WALK_HOPS, 5):
        text = world.chain(hops)
        what = f"{name}, token of one hop" if hops == 1 else f"{name}, chain of {hops} hops"
        few = max(times // 10, 5)
        cost = in_turn(
            bare=(bare, few),
            known=(known_call(world, hops, text), times),
            anew=(partial(unknown_call, world, hops, text), few),
            strangers=(partial(stranger_call, world, hops, text), few),
        )
        found += [
            line(f"{what}, known, with whether it was revoked", cost["known"], "µs", 2.0),
            line(f"{what}, verified", cost["anew"], "µs"),
            line(f"{what}, verified, no key seen before", cost["strangers"], "µs"),
            line(f"peer: {hops} bare {name} of the same turns", cost["bare"] * hops, "µs"),
            line(f"{what}, verified, over {hops} bare", cost["anew"] / cost["bare"] / hops, "times"),
        ]
    _shut(world)
    return found


def in_turn(**calls: tuple[Callable[[], object], int]) -> dict[str, float]:
    """CPU µs of each call, so many times in a row: the best of some rounds in which each had its turn, since a
    processor that others share is not equally fast all the time."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, (call, times) in calls.items():
            call()
            begun = time.process_time()
            for _ in range(times):
                call()
            best[name] = min(best[name], (time.process_time() - begun) / times * 1e6)
    return best


def known_call(world: HandedOn, hops: int, text: str) -> Callable[[], object]:
    """What the gateway asks of a chain that it verified before, which came in a field as octets."""
    here, caller, field = world.made.walk, world.caller(hops - 1), text.encode()
    verified = verify_request(
        here.planning, here.counters.quota, here.recorder.ledger, here.limits, _request(text), caller
    )
    now = here.clock.now()

    def once() -> None:
        by = presented(here.recorder.ledger, here.verification, MANDATE, field.decode("ascii"), now)
        verify_lineage(here.authority, caller, by, server="crm")
        judged_now(here.authority, verified)

    return once


def unknown_call(world: HandedOn, hops: int, text: str) -> None:
    """The same for a chain that nobody has shown before, of agents whose keys were."""
    here = world.made.walk
    here.verification.delegations.forget()
    by = presented(here.recorder.ledger, here.verification, MANDATE, text, here.clock.now())
    verify_lineage(here.authority, world.caller(hops - 1), by, server="crm")


def stranger_call(world: HandedOn, hops: int, text: str) -> None:
    """The same again for agents that nobody has seen."""
    dpop.forget_keys()
    unknown_call(world, hops, text)


def dict_look(times: int) -> list[Line]:
    """The least that any look-up can cost."""
    known, name = {number: number for number in range(10_000)}, 7
    return [line("peer: a look into a dict", dpop.cpu_us(repeat(partial(known.get, name)), times), "µs")]


def exchanging(directory: Path, count: int) -> list[Line]:
    """Tokens for a mandate and for the token below one, by one client and by many."""
    world = handed_on(directory)
    rows = sqlite_log.sqlite_group_commit(
        directory, callers=1, seconds=count / EXCHANGES, record_bytes=SYNC_RECORD_BYTES
    )
    # The first has to wait until the file it writes into is on the disk, which is not what a sync costs.
    sync = min(raw_log.single_fdatasync(directory, max(count // 4, 20)).p50_ms for _ in range(BEST_OF))
    peers = [
        line("peer: one fdatasync, p50", sync, "ms"),
        line("peer: rows of bare SQLite, one commit each", rows, "1/s"),
    ]
    found = uvloop.run(_exchanges(world, count, sync))
    world.store.close()
    return peers + found


async def _exchanges(world: HandedOn, count: int, sync_ms: float) -> list[Line]:
    """Each of the second kind is below a token of its own, as if the agent had just got that."""
    first = partial(wanted, subject=MANDATE)
    parents = [(await exchange_token(world.desk, world.client(0), first())).chain for _ in range(count)]
    found: list[Line] = []
    for what, asked in (
        ("for a mandate", [first() for _ in range(count)]),
        ("below a token", [wanted(subject=MANDATE, chain=one) for one in parents]),
    ):
        # Half by one client and half by many, so that no token has more than one below it.
        alone, together = asked[: count // 2], asked[count // 2 :]
        rate, cpu, p50 = await _timed(world, alone, clients=1)
        found += [
            line(f"exchanges {what}, one client", rate, "1/s"),
            line(f"exchanges {what}, CPU of one", cpu, "µs"),
            line(f"exchanges {what}, p50 over one fdatasync", p50 / sync_ms, "times"),
        ]
        rate, _, _ = await _timed(world, together, clients=CLIENTS)
        found.append(line(f"exchanges {what}, {CLIENTS} clients", rate, "1/s"))
    await world.made.ledger.close()
    return found


async def _timed(world: HandedOn, asked: list[Exchange], *, clients: int) -> tuple[float, float, float]:
    """Exchanges a second, CPU µs of one, and the median of how long one took in ms."""
    pending, took = iter(asked), []
    begun, cpu = time.perf_counter(), time.process_time()

    async def client() -> None:
        for one in pending:
            start = time.perf_counter()
            await exchange_token(world.desk, world.client(0), one)
            took.append(time.perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(clients)))
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    return len(asked) / wall, cpu / len(asked) * 1e6, statistics.median(took) * 1000


def walking(directory: Path, count: int, turns: int) -> list[Line]:
    """CPU of one whole action with a signature, in turn under a mandate and under a chain that starts at it."""
    best = {0: float("inf"), WALK_HOPS: float("inf")}
    for turn in range(turns):
        for hops in best:
            place = directory / f"{turn}-{hops}"
            place.mkdir()
            best[hops] = min(best[hops], _walked(place, hops, count))
    plain, chained = best[0], best[WALK_HOPS]
    return [
        line("one action, a signature per call, its own mandate", plain, "µs"),
        line(f"one action, a signature per call, a chain of {WALK_HOPS} hops", chained, "µs"),
        line(f"one action, chain of {WALK_HOPS} hops over none", chained / plain, "times"),
    ]


def _walked(directory: Path, hops: int, count: int) -> float:
    world = handed_on(directory)
    stream = world.messages(hops - 1, world.chain(hops)) if hops else world.messages(0)
    messages = [next(stream) for _ in range(count)]
    warm = count // 20

    async def run() -> float:
        await walk.run(world.made, messages[:warm], callers=WALK_CALLERS, seconds=60)
        measured = await walk.run(world.made, messages[warm:], callers=WALK_CALLERS, seconds=60)
        await world.made.ledger.close()
        return measured.cpu_us

    cpu_us = uvloop.run(run())
    world.store.close()
    return cpu_us


def presenting(directory: Path, times: int) -> list[Line]:
    """The proof with which a token is presented, by a client that is known and by one that is not."""
    costs = dpop.proof_costs(directory, times)
    return [
        line(f"DPoP per call, {name}, {what}", costs[f"{kind}_{measured}"], "µs")
        for name, kind in (("Ed25519", "ed25519"), ("ES256", "es256"))
        for what, measured in (("key known", "cached"), ("key new", "uncached"), ("bare", "bare_signature"))
    ]


def ending(directory: Path, share: int) -> list[Line]:
    """Ends and starts of whole products, whose servers the clocks of this process do not see."""
    found: list[Line] = []
    for part in (fencing.fenced, restarting.restarts):
        # Sockets have short paths: not below the directory of this run.
        with TemporaryDirectory() as place:
            found += [
                line(one["name"].strip(), one["value"], one["unit"], one["limit"])
                for one in part(Path(place), share)
            ]
    return found


def _request(chain: str) -> ActionRequest:
    return action_request(
        server="crm",
        method="tools/call",
        target="customer_read",
        arguments={"case_id": "4711"},
        mandate_id=MANDATE,
        message_digest=bytes(32),
        delegation=chain,
    )


def _shut(world: HandedOn) -> None:
    asyncio.run(world.made.ledger.close())
    world.store.close()


def lines_of(directory: Path, *, quick: bool, in_process: bool) -> list[Line]:
    """All that is measured, in order."""
    times = TIMES // 100 if quick else TIMES
    walked, turns = (WALKED // 60, 1) if quick else (WALKED, BEST_OF)
    parts: list[tuple[str, Callable[[Path], list[Line]]]] = [
        ("dict", lambda _: dict_look(times)),
        *((kind, partial(verifying, name=name, algorithm=kind, times=times)) for name, kind in ALGORITHMS),
        ("exchanges", partial(exchanging, count=EXCHANGES // 20 if quick else EXCHANGES)),
        ("proofs", partial(presenting, times=times)),
        ("walk", partial(walking, count=walked, turns=turns)),
    ]
    if not in_process:
        parts.append(("ends", partial(ending, share=100 if quick else 1)))
    found: list[Line] = []
    for name, part in parts:
        (directory / name).mkdir()
        found += part(directory / name)
    return found


def main() -> None:
    """Measure, print a table or one JSON object."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="few of everything, to see that it runs")
    arguments.add_argument("--in-process", action="store_true", help="without what whole servers do")
    options = arguments.parse_args()
    before = os.getloadavg()[0]
    with course.Scratch() as place, TemporaryDirectory(dir=place) as directory:
        lines = lines_of(Path(directory), quick=options.quick, in_process=options.in_process)
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    if options.json:
        figures = {f"{one['name']}, {one['unit']}": one["value"] for one in lines}
        print(json.dumps({"bench": "tokens", "machine": machine, "figures": figures}))
        return
    print(machine)
    for one in lines:
        aim = f"   at most {one['aim']:,.1f}" if one["aim"] is not None else ""
        print(f"  {one['name']:<66} {one['value']:>12,.3f} {one['unit']}{aim}")


if __name__ == "__main__":
    main()
