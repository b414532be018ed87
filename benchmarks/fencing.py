"""A root with 10,000 descendants is revoked by `answerable revoke`, with two whole processes on the data directory: how
long until the agent is refused under every sampled descendant at both gateways.

Each descendant is a token that the token service issued and recorded, with its chain; they are made by the flow of the
exchange without its door, before the two processes start. Two clients, one at each gateway, act under the sampled ones
in turn, before the command, during it and until each was refused.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import httpx2
from governed import SETTINGS, Caller, Prepared, prepared
from house import WAIT_SECONDS_MAX, House, until_open

from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_token import read_hop

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.keys.keys import SigningKey

DESCENDANTS: Final = 10_000
BRANCHES: Final = 22
"""Below each: three levels hold 10,000."""
SAMPLED: Final = 25
TOGETHER: Final = 32
WARM_SECONDS: Final = 1.0
REFUSED_AIM_MS: Final = 1_000.0
SHARDS: Final = ("a", "b")
Line = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Client:
    """The agent at one gateway. begun: of the last call under each descendant that was let through; refused: when the
    first answer came that was not; sweep: seconds for one call under each. Wall-clock seconds."""

    caller: Caller
    chains: dict[str, str]
    begun: dict[str, float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    sweep: float = 0.0
    fault: str = ""

    def run(self, let_through: threading.Event) -> None:
        """Until each was refused. let_through: set once all were let through."""
        give_up = time.monotonic() + WAIT_SECONDS_MAX
        while len(self.refused) < len(self.chains) and time.monotonic() < give_up:
            swept = time.time()
            for name, chain in self.chains.items():
                if name not in self.refused:
                    self._act(name, chain)
            if not self.refused:
                self.sweep = time.time() - swept
                if len(self.begun) == len(self.chains):
                    let_through.set()

    def _act(self, name: str, chain: str) -> None:
        begun = time.time()
        try:
            why = self.caller.call(chain)
        except httpx2.HTTPError as fault:
            why = str(fault)
        if not why:
            self.begun[name] = begun
        elif "revoked" in why:
            self.refused[name] = time.time()
        else:
            # The upstream is not there yet, or the other process has not told of its mandate.
            self.fault = why


def fenced(directory: Path, share: int) -> list[Line]:
    """Milliseconds; from the command's start, which is that of an interpreter, and from when the register had it."""
    house, count = House(directory, SETTINGS), DESCENDANTS // share
    (house.data / "a.toml").write_text(SETTINGS + '[ledger]\nshard = "a"\n')
    begun = time.monotonic()
    key, root, chains = asyncio.run(_made(house, count))
    prepared_s = time.monotonic() - begun
    chosen = random.Random(0).sample(chains, min(SAMPLED, len(chains)))
    sample = {read_hop(chain.rpartition(SEPARATOR)[2]).jti: chain for chain in chosen}
    with house.up(SHARDS[0]) as first, house.up(SHARDS[1]) as second:
        clients = []
        for server in (first, second):
            until_open(server.gateway, server.process)
            clients.append(Client(caller=Caller(server.gateway, key), chains=sample))
        started, ended, answer = _revoked(house, root, clients)
    if answer["stopped"]["tokens_count"] != count + 1:
        raise SystemExit(f"{answer['stopped']['tokens_count']} tokens ended, expected {count + 1}")
    return _lines(clients, started, ended, answer, count, prepared_s)


def _revoked(house: House, root: str, clients: list[Client]) -> tuple[float, float, Any]:
    """When the command was started, when it had ended, and what it said."""
    ready = [threading.Event() for _ in clients]
    threads = [
        threading.Thread(target=one.run, args=(event,), daemon=True)
        for one, event in zip(clients, ready, strict=True)
    ]
    for thread in threads:
        thread.start()
    for one, event in zip(clients, ready, strict=True):
        if not event.wait(WAIT_SECONDS_MAX):
            raise TimeoutError(f"not all were let through: {one.fault}")
    time.sleep(WARM_SECONDS)
    started = time.time()
    told = house.command("--config", str(house.data / "a.toml"), "revoke", "token", root, "--yes", "--json")
    ended = time.time()
    for thread in threads:
        thread.join(WAIT_SECONDS_MAX)
    for one in clients:
        one.caller.close()
        if len(one.refused) < len(one.chains):
            raise SystemExit(
                f"{len(one.chains) - len(one.refused)} descendants were not refused: {one.fault}"
            )
    return started, ended, json.loads(told)


def _lines(
    clients: list[Client], started: float, ended: float, answer: Any, count: int, prepared_s: float
) -> list[Line]:
    stamp = datetime.fromisoformat(answer["revocation"]["at"]).timestamp()
    last = max(max(one.refused.values()) for one in clients)
    through = max(max(one.begun.values()) for one in clients)
    what = f"each of {len(clients[0].chains)} of {count:,} descendants refused at both gateways"
    return [
        _line(f"{what}, after the register's stamp", (last - stamp) * 1000, "ms", REFUSED_AIM_MS),
        _line(f"{what}, after `answerable revoke` was started", (last - started) * 1000, "ms"),
        _line("  still let through when sent so long after that stamp", max(through - stamp, 0) * 1000, "ms"),
        _line("  one call under each of them takes", max(one.sweep for one in clients) * 1000, "ms"),
        _line(
            f"`answerable revoke`, {count:,} descendants, from start to end", (ended - started) * 1000, "ms"
        ),
        _line("  preparing it", prepared_s, "s"),
    ]


async def _made(house: House, count: int) -> tuple[SigningKey, str, list[str]]:
    """The agent's key, the id of the root token, and the chains of all below it."""
    async with prepared(house, shard=SHARDS[0]) as made:
        root = await made.handed()
        level: list[str] = [root]
        chains: list[str] = []
        while len(chains) < count:
            above = [one for one in level for _ in range(BRANCHES)][: count - len(chains)]
            level = await _handed(made, above)
            chains += level
        return made.key, read_hop(root).jti, chains


async def _handed(made: Prepared, above: list[str]) -> list[str]:
    """One below each of these, many at a time: those below one parent wait for one another."""
    turns, found = asyncio.Semaphore(TOGETHER), []

    async def one(chain: str) -> None:
        async with turns:
            found.append(await made.handed(chain))

    # The parents take turns, so that few of those under way have the same one.
    await asyncio.gather(*(one(chain) for chain in sorted(above, key=hash)))
    return found


def _line(name: str, value: float, unit: str, limit: float | None = None) -> Line:
    return {"name": name, "value": value, "unit": unit, "limit": limit}
