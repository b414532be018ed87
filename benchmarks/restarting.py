"""A whole `answerable up` on a data directory with 300,000 live grants, and on one with 1,000,000 live tokens: how long
from the start of its process until the first action under one of them is answered, and what is resident then; for the
tokens also once every status list of theirs was asked for at the door.

Beside each the same start on a directory with one grant. The data directory is prepared without the doors, by the
product's own flows and registers; what was shortened is said where it is (`governed`, `issued_tokens`).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx2
from governed import SETTINGS, Caller, prepared
from house import WAIT_SECONDS_MAX, House, UnixConnection, until_open

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.adapters.system import SystemEntropy
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.issued_token import IssuedToken
from answerable.core.mandate.mandate import MandateId

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.keys.keys import SigningKey
    from answerable.wiring.assemble import Product

GRANTS: Final = 300_000
TOKENS: Final = 1_000_000
BATCH: Final = 10_000
HOUR_MS: Final = 3_600_000
LOOK_SECONDS: Final = 0.02
"""Each look that comes too early is an intent and its end in the ledger."""
ANSWER_AIM_S: Final = 30.0
RESIDENT_AIM_MB: Final = 200.0
Line = dict[str, Any]


def restarts(directory: Path, share: int) -> list[Line]:
    """Each of the three directories, started in turn after a stop in order, and once more after a kill."""
    found: list[Line] = []
    for what, grants, tokens in (
        ("one live grant", 0, 0),
        (f"{GRANTS // share:,} live grants", GRANTS // share, 0),
        (f"{TOKENS // share:,} live tokens", 0, TOKENS // share),
    ):
        place = directory / f"{grants}-{tokens}"
        place.mkdir()
        begun = time.monotonic()
        house = House(place, SETTINGS)
        key, chain = asyncio.run(_made(house, grants, tokens))
        took = time.monotonic() - begun
        # A kill leaves the ledger's last entries to be read again.
        first = _started(house, key, chain, signal.SIGKILL)
        again = _started(house, key, chain, signal.SIGTERM)
        aim = ANSWER_AIM_S if grants or tokens else None
        found += [
            _line(f"`up` to the first action answered, {what}", first.answered_s, "s", aim),
            _line(f"`up` to the first action answered, {what}, after a kill", again.answered_s, "s", aim),
            _line(f"  resident then, {what}", first.resident_mb, "MB"),
        ]
        if tokens:
            found += [
                _line(f"  asking for all {first.lists} status lists, {what}", first.lists_s, "s"),
                _line(
                    f"  resident then, {what} and their status asked", first.told_mb, "MB", RESIDENT_AIM_MB
                ),
            ]
        found.append(_line(f"  preparing it, {what}", took, "s"))
    return found


async def _made(house: House, grants: int, tokens: int) -> tuple[SigningKey, str]:
    """The agent's key, and what it acts under: its mandate, or a token that the token service issued."""
    async with prepared(house) as made:
        await made.given(grants)
        chain = await made.handed() if tokens else ""
        issued_tokens(made.product, tokens)
        return made.key, chain


def issued_tokens(product: Product, count: int) -> None:
    """So many live tokens in the register of tokens, and nowhere else: a start reads nothing of them in the ledger."""
    register = SqliteTokenRegister(product.registers, entropy=SystemEntropy())
    expires = UnixMillis(product.walk.clock.now() + HOUR_MS)
    for start in range(0, count, BATCH):
        places = register.take_places(min(BATCH, count - start))
        register.add(
            IssuedToken(
                jti=f"t-{number}",
                parent="",
                par_hash="",
                mandate=MandateId(f"m-{number // 10}"),
                agent=AgentId(f"agent-{number % 100}"),
                key="k" * 43,
                trust_domain="example.org",
                expires_at=expires,
                place=place,
            )
            for number, place in enumerate(places, start)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """One start. lists: of status, which were all asked for after the first action; resident before and after that."""

    answered_s: float
    resident_mb: float
    lists: int
    lists_s: float
    told_mb: float


def _started(house: House, key: SigningKey, chain: str, end: signal.Signals) -> Started:
    with house.starting() as server:
        until_open(server.gateway, server.process)
        caller = Caller(server.gateway, key)
        try:
            _until_done(caller, chain, server.begun)
            answered = time.monotonic() - server.begun
        finally:
            caller.close()
        memory, begun = server.resident_mb(), time.monotonic()
        lists = _told(server.gateway)
        told, after = time.monotonic() - begun, server.resident_mb()
        os.kill(server.process.pid, end)
        server.process.wait(WAIT_SECONDS_MAX)
    return Started(answered_s=answered, resident_mb=memory, lists=lists, lists_s=told, told_mb=after)


def _told(gateway: Path) -> int:
    """How many status lists there are, each asked for as strangers do."""
    connection = UnixConnection(gateway)
    try:
        uris = json.loads(_page(connection, "/oauth/status"))["status_lists"]
        for uri in uris:
            _page(connection, urlsplit(uri).path)
        return len(uris)
    finally:
        connection.close()


def _page(connection: UnixConnection, path: str) -> bytes:
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(f"{path}: {answer.status}")
    return content


def _until_done(caller: Caller, chain: str, begun: float) -> None:
    why = ""
    while time.monotonic() - begun < WAIT_SECONDS_MAX:
        try:
            why = caller.call(chain)
        except httpx2.HTTPError as fault:
            why = str(fault)
        if not why:
            return
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(why)


def _line(name: str, value: float, unit: str, limit: float | None = None) -> Line:
    return {"name": name, "value": value, "unit": unit, "limit": limit}
