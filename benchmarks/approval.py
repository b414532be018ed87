"""What asking people costs: `./dev bench approval [--json] [--quick]`.

A console in a process of its own, over real HTTP on loopback, with approvals in SQLite and a log in files: the card as
a hundred viewers load it once a second each, an inbox with ten thousand that wait, at the first look, after that and
after a restart, one signature over two hundred of them, and a signed decision from opening the card to the answer. What
groups of so many cost by themselves, in time and in memory. The walk of an action that nobody is asked about, with ten
thousand that wait and with none, in turn.

The device is a passkey in software, whose one signature is in the round trip. The limits are those of issue 8, and of
what it says nothing about what is aimed at. At the first look nothing has been read before; after the restart it is
read between looks, as in a server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import re
import socket
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import anyio
import httpx2
from approval_groups import WAITING, Line, alike, groups, line

from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteOpeningRegister,
    SqlitePasskeyRegister,
    SqliteStore,
)
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.adapters.uvicorn_front import run, serve
from answerable.apps.console import ConsoleLimits, ConsoleServices, console_app
from answerable.apps.console.sessions import COOKIE
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.mandate import MandateId
from answerable.flows.people.enrol_passkey import begin_enrolment, finish_enrolment
from answerable.flows.people.invite_person import invite_person
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.flows.validity.group_waiting import follow_waiting
from answerable.testing.builders import Bench, ledger_key
from answerable.testing.clock import ManualClock
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from answerable.testing.soft_passkey import SoftPasskey
from answerable.wiring.search_settings import SearchSettings
from answerable.wiring.search_side import SearchSide

VIEWERS: Final = 100
SECONDS: Final = 20
INBOXES: Final = 30
ACTIONS: Final = 4_000
ROUNDS: Final = 7
LOOKS: Final = 200_000
PAGE_BYTES_MAX: Final = 60_000
PERSON: Final = "bob"


def main() -> None:
    """Measure and print; exit code 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it runs")
    wanted = parser.parse_args()
    share = 10 if wanted.quick else 1
    lines = [*console(share), *groups(WAITING // share), *asyncio.run(walks(share))]
    if wanted.json:
        figures = {f"{line['name']}, {line['unit']}": line["value"] for line in lines}
        print(json.dumps({"bench": "approval", "machine": _machine(), "figures": figures}))
    else:
        print(_machine())
        for line in lines:
            limit = f"   at most {line['limit']:,.1f}" if line["limit"] is not None else ""
            print(f"{line['name']:<74} {line['value']:>12,.3f} {line['unit']}{limit}")
    missed = [line for line in lines if line["limit"] is not None and line["value"] > line["limit"]]
    sys.exit(1 if missed and not wanted.quick else 0)


def console(share: int) -> list[Line]:
    """Pages and answers of a console with this many that wait; then of one that opens the same files."""
    with TemporaryDirectory() as folder:
        with _server(folder, WAITING // share) as (origin, started):
            lines = asyncio.run(_browse(origin, started, share))
        with _server(folder, 0) as (origin, started):
            return [*lines, *asyncio.run(_browse_again(origin, started, WAITING // share))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """asked: approvals of the bench's own. opening: the register, in milliseconds."""

    asked: list[str]
    opening: float


@contextmanager
def _server(folder: str, waiting: int) -> Iterator[tuple[str, Started]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(there, folder, port, waiting))
    server.start()
    try:
        yield f"http://localhost:{port}", here.recv()
    finally:
        server.terminate()
        server.join()


def _serve(pipe: Connection, folder: str, port: int, waiting: int) -> None:
    run(lambda: _served(pipe, Path(folder), port, waiting))


async def _served(pipe: Connection, folder: Path, port: int, waiting: int) -> None:
    """waiting: so many more; with none it is a restart, and only as many wait as did."""
    origin, clock = f"http://localhost:{port}", ManualClock()
    opened = time.perf_counter()
    store = _store(folder)
    register, openings = SqliteApprovalRegister(store), SqliteOpeningRegister(store)
    opening = (time.perf_counter() - opened) * 1000
    key, sign = ledger_key(), signing_key("ledger").sign
    ledger = TlogFilesLedger.open(folder / "log", key=key, sign=sign, clock=clock)
    bench = await Bench(approvals=register, openings=openings, ledger=ledger, clock=clock).registered()
    bench.asking.passkeys = PasskeyState(
        register=fresh(SqlitePasskeyRegister), rp_id="localhost", origins=(origin,)
    )
    invited = await invite_person(bench.recorder, bench.authority, bench.asking.passkeys, PERSON, by="uid:0")
    begun = begin_enrolment(
        bench.authority, bench.asking.passkeys, bench.walk.entropy, invited.code, browser="b"
    )
    device = SoftPasskey(seed=PERSON, origin=origin, rp_id="localhost")
    await finish_enrolment(
        bench.recorder,
        bench.authority,
        bench.asking.passkeys,
        begun.id,
        device.registration(begun.challenge),
        label="bench",
        browser="b",
    )
    await bench.issue()
    asked = [(await bench.refund(6_000 + number)).approval for number in range(20 if waiting else 0)]
    _fill(bench, waiting)
    index, limits = SearchSide(SearchSettings(), ledger), ConsoleLimits(attempts_per_minute_max=10_000)
    app = console_app(ConsoleServices(walk=bench.walk, origin=origin, searches=index, limits=limits))
    pipe.send(Started(asked=[one.id for one in asked if one is not None], opening=opening))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.seal_every, 1.0)
        if not waiting:
            tasks.start_soon(
                follow_waiting,
                bench.recorder.ledger,
                bench.authority.approvals,
                bench.asking.under_way,
                bench.clock,
            )
        await serve(cast("Any", app), tcp=("127.0.0.1", port))
        tasks.cancel_scope.cancel()


def _fill(bench: Bench, waiting: int) -> None:
    """As many more that wait; each with a card of its own."""
    for one in alike(waiting, at=bench.clock.now()):
        bench.authority.approvals.add(one)


@asynccontextmanager
async def _client(origin: str) -> AsyncIterator[tuple[httpx2.AsyncClient, SoftPasskey]]:
    device = SoftPasskey(seed=PERSON, origin=origin, rp_id="localhost", count=10)
    limits = httpx2.Limits(max_connections=VIEWERS + 10, max_keepalive_connections=VIEWERS + 10)
    async with httpx2.AsyncClient(base_url=origin, limits=limits, timeout=60, trust_env=False) as http:
        http.headers["cookie"] = await _signed_in(http, origin, device)
        yield http, device


async def _browse(origin: str, started: Started, share: int) -> list[Line]:
    asked = started.asked
    async with _client(origin) as (http, device):
        page = await _until_up(http, f"/approvals/{asked[0]}")
        weight = await _weight(http, page.text)
        took = await _viewed(http, [f"/approvals/{one}" for one in asked], SECONDS // share or 1)
        first = await _looked_in(http)
        inbox = [await _looked_in(http) for _ in range(INBOXES // share)]
        changed = []
        for one in asked[-max(2, INBOXES // share // 3) :]:
            await _decided(http, origin, device, one)
            changed.append(await _looked_in(http))
        pages, many = await _answered_together(http, origin, device, max(2, INBOXES // share))
        decisions = [await _decided(http, origin, device, one) for one in asked[:10]]
    took.sort()
    inbox.sort()
    decisions.sort()
    pages.sort()
    many.sort()
    return [
        line(f"card, {VIEWERS} viewers once a second each, p50", took[len(took) // 2], "ms"),
        line(f"card, {VIEWERS} viewers once a second each, p99", took[len(took) * 99 // 100], "ms", 50.0),
        line("card with all its assets, as they are sent", weight, "bytes", PAGE_BYTES_MAX),
        line(f"inbox with {WAITING // share:,} that wait, the first look of all", first, "ms", 1_000.0),
        line("inbox after that, nothing new, longest", inbox[-1], "ms", 50.0),
        line("inbox after that, somebody answered one, longest", max(changed), "ms", 50.0),
        line("page of a group, 200 of those that wait on it, longest", pages[-1], "ms", 1_000.0),
        line("one signature over 200, from opening to all on record, p50", many[len(many) // 2], "ms", 300.0),
        line("one signature over 200, from opening to all on record, longest", many[-1], "ms", 300.0),
        line(
            "signed decision, from opening to the answer on record, p50", decisions[len(decisions) // 2], "ms"
        ),
        line("signed decision, from opening to the answer on record, longest", decisions[-1], "ms", 300.0),
    ]


async def _browse_again(origin: str, started: Started, waiting: int) -> list[Line]:
    async with _client(origin) as (http, _):
        first = await _looked_in(http)
    return [
        line(f"register with {waiting:,} opened again", started.opening, "ms"),
        line("inbox after a restart, first look", first, "ms", 1_000.0),
    ]


async def _looked_in(http: httpx2.AsyncClient) -> float:
    """The inbox, in milliseconds."""
    begun = time.perf_counter()
    (await http.get("/approvals")).raise_for_status()
    return (time.perf_counter() - begun) * 1000


async def _signed_in(http: httpx2.AsyncClient, origin: str, device: SoftPasskey) -> str:
    own = {"origin": origin, "sec-fetch-site": "same-origin"}
    begun = (await _posted(http, "/sign-in/begin", {}, own)).json()
    signed = device.assertion(_octets(begun["options"]["challenge"])).members()
    answer = await _posted(
        http, "/sign-in/finish", {"ceremony": begun["ceremony"], "assertion": signed, "next": "/"}, own
    )
    answer.raise_for_status()
    found = re.search(rf"{COOKIE}=[A-Za-z0-9_-]+", answer.headers["set-cookie"])
    assert found is not None
    return found[0]


async def _posted(http: httpx2.AsyncClient, path: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
    for _ in range(200):
        try:
            return await http.post(path, json=body, headers=headers)
        except httpx2.ConnectError:
            await asyncio.sleep(0.05)
    raise RuntimeError("the console does not answer")


async def _until_up(http: httpx2.AsyncClient, path: str) -> httpx2.Response:
    answer = await http.get(path)
    answer.raise_for_status()
    return answer


async def _weight(http: httpx2.AsyncClient, page: str) -> int:
    """Bytes of a page and of all that it asks for, as they are on the wire but for their headers."""
    whole = len(page.encode())
    for found in set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)):
        async with http.stream("GET", found) as answer:
            whole += sum([len(piece) async for piece in answer.aiter_raw()])
    return whole


async def _viewed(http: httpx2.AsyncClient, paths: list[str], seconds: int) -> list[float]:
    took: list[float] = []

    async def viewer(number: int) -> None:
        await asyncio.sleep(number / VIEWERS)
        for _ in range(seconds):
            begun = time.perf_counter()
            (await http.get(paths[number % len(paths)])).raise_for_status()
            took.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(max(0.0, 1.0 - (time.perf_counter() - begun)))

    await asyncio.gather(*(viewer(number) for number in range(VIEWERS)))
    return took


async def _decided(http: httpx2.AsyncClient, origin: str, device: SoftPasskey, name: str) -> float:
    """From the tap to the answer, in milliseconds: open, sign, send."""
    page = (await http.get(f"/approvals/{name}")).text
    csrf = re.search(r'name="csrf" content="([^"]+)"', page)
    card = re.search(r"rendering hash ([0-9a-f]{64})", page)
    assert csrf is not None
    assert card is not None
    own = {"origin": origin, "sec-fetch-site": "same-origin", "x-csrf-token": csrf[1]}
    begun = time.perf_counter()
    # What is critical wants its name typed.
    must = re.search(r'data-must="([^"]*)"', page)
    said = {"verdict": "approve", "typed": must[1] if must else ""}
    opened = await http.post(f"/approvals/{name}/open", json={**said, "rendering": card[1]}, headers=own)
    opened.raise_for_status()
    told = opened.json()
    signed = device.assertion(_octets(told["options"]["challenge"])).members()
    body = {**said, "nonce": told["nonce"], "assertion": signed, "comment": ""}
    (await http.post(f"/approvals/{name}/answer", json=body, headers=own)).raise_for_status()
    return (time.perf_counter() - begun) * 1000


async def _answered_together(
    http: httpx2.AsyncClient, origin: str, device: SoftPasskey, rounds: int
) -> tuple[list[float], list[float]]:
    """The page of the largest group, and a no to all on it, in milliseconds each."""
    pages, answers = [], []
    for _ in range(rounds):
        inbox = (await http.get("/approvals")).text
        groups = re.findall(r'href="/groups/([0-9a-f]{32})"[^>]*>([0-9]+) ', inbox)
        begun = time.perf_counter()
        page = (await http.get(f"/groups/{max(groups, key=lambda one: int(one[1]))[0]}")).text
        pages.append((time.perf_counter() - begun) * 1000)
        csrf = re.search(r'name="csrf" content="([^"]+)"', page)
        seen = dict(re.findall(r'<tr data-id="([^"]+)" data-rendering="([0-9a-f]{64})"', page))
        assert csrf is not None
        own = {"origin": origin, "sec-fetch-site": "same-origin", "x-csrf-token": csrf[1]}
        begun = time.perf_counter()
        opened = await http.post("/groups/open", json={"verdict": "deny", "seen": seen}, headers=own)
        opened.raise_for_status()
        told = opened.json()
        signed = device.assertion(_octets(told["options"]["challenge"])).members()
        body = {
            "verdict": "deny", "nonce": told["nonce"], "assertion": signed, "comment": "", "ids": told["ids"],
        }  # fmt: skip
        answer = await http.post("/groups/answer", json=body, headers=own)
        answer.raise_for_status()
        assert answer.json()["answered"] == len(seen), answer.text
        answers.append((time.perf_counter() - begun) * 1000)
    return pages, answers


async def walks(share: int) -> list[Line]:
    """Actions that nobody is asked about, beside many that wait and beside none."""
    with TemporaryDirectory() as folder:
        empty, full = [await _walker(Path(folder, name)) for name in ("empty", "full")]
        _fill(full, WAITING // share)
        times: dict[str, list[float]] = {"empty": [], "full": []}
        pair = [("empty", empty), ("full", full)]
        for _ in range(ROUNDS):
            pair.reverse()  # Who comes second pays for what the first one left to be collected.
            for name, bench in pair:
                begun = time.perf_counter()
                for _ in range(ACTIONS // share // ROUNDS):
                    await bench.act("get_case", {"case": "4711"})
                times[name].append((time.perf_counter() - begun) / (ACTIONS // share // ROUNDS) * 1e6)
        looks = {name: _looked(bench) for name, bench in (("empty", empty), ("full", full))}
    least = {name: min(found) for name, found in times.items()}
    return [
        line("walk, nothing waits, best round", least["empty"], "µs"),
        line(f"walk, {WAITING // share:,} wait, best round", least["full"], "µs"),
        line("difference, with all the noise of the walk", least["full"] - least["empty"], "µs"),
        line("difference of the look that each action takes", looks["full"] - looks["empty"], "µs", 5.0),
    ]


def _looked(bench: Bench) -> float:
    """What an action asks of those that wait, in microseconds."""
    now, digest = bench.clock.now(), bytes(32)
    begun = time.perf_counter()
    for _ in range(LOOKS):
        bench.authority.approvals.matching(AgentId("scout"), MandateId("m-1"), digest, now)
    return (time.perf_counter() - begun) / LOOKS * 1e6


async def _walker(folder: Path) -> Bench:
    bench = await Bench(approvals=SqliteApprovalRegister(_store(folder))).registered()
    await bench.issue(calls_max=1_000_000)
    return bench


def _store(folder: Path) -> SqliteStore:
    folder.mkdir(exist_ok=True)
    return SqliteStore.open(folder / "registers.db")


def _octets(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
