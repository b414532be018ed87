"""Agents that nobody uses, under the real `answerable up`, on data that the product itself wrote on earlier days."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.sqlite import SqliteAgentUses, SqliteStore
from answerable.adapters.system import SystemClock
from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.tags import Tag
from answerable.flows.registry.apply_registry import apply_registry
from answerable.wiring import assemble
from answerable.wiring.registry_documents import read_documents
from answerable.wiring.settings import load_settings
from tests.worlds.parts import to_apply
from tests.worlds.shard_house import leaves
from tests.worlds.up import SETTINGS, WAIT_SECONDS_MAX, House, environment, house, registry, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("LIFE-03"),
    pytest.mark.skipif(sys.platform != "linux", reason="the sidecar keeps its keys by Linux's means"),
]
DAY = 86_400_000
DAYS = 3
DORMANCY = f"dormant_days = {DAYS}\ndormant_round_seconds = 1\n"
MINE = [[f"unix:uid:{os.getuid()}"]]
IN_USE = [["unix:uid:4000000001"]]


class EarlierClock(SystemClock):
    """As many days ago as it is told."""

    __slots__ = ("days",)

    def __init__(self) -> None:
        self.days = 0

    def now(self) -> UnixMillis:
        return UnixMillis(super().now() - self.days * DAY)


async def lived(
    home: House, monkeypatch: pytest.MonkeyPatch, documents: dict[int, str], config: Path | None = None
) -> None:
    """What was applied so many days ago, by the product over a clock that says so."""
    clock = EarlierClock()
    monkeypatch.setattr(assemble, "SystemClock", lambda: clock)
    clock.days = max(documents)
    async with assemble.assembled(load_settings(home.data, config)) as product:
        for days in sorted(documents, reverse=True):
            clock.days = days
            place = home.root / f"applied-{days}.yaml"
            place.write_text(documents[days])
            reading = read_documents([str(place)], standard_input="")
            assert not reading.faults
            await apply_registry(*to_apply(product.walk), reading.documents, by="operator")


def changed(text: str, day: int) -> str:
    """The same with another name of somebody and of the agent that is in use, so that both are applied."""
    return text.replace("displayName: Ada", f"displayName: Ada {day}")


async def standing(home: House, name: str, *config: str) -> str:
    shown = await asyncio.to_thread(home.command, *config, "agent", "show", name, "--json")
    return str(json.loads(shown)["status"])


async def started(home: House, agent: str) -> tuple[int, str]:
    line = home.line("agent", "up", "--agent", agent, "--", "true")
    done = await asyncio.to_thread(
        subprocess.run,
        line,
        capture_output=True,
        text=True,
        env=environment(),
        stdin=subprocess.DEVNULL,
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )
    return done.returncode, done.stderr


def rounds(home: House) -> int:
    """How often what was seen was noted, since the house exists."""
    uses = SqliteAgentUses(SqliteStore.open(home.data / "answerable.db"))
    return sum(one.told for one in uses.logs().values())


def whole_log(home: House) -> list[dict[str, Any]]:
    return leaves(PublishedFiles(home.data / "ledger"))


def suspensions(found: list[dict[str, Any]]) -> list[str]:
    return [one["because"] for one in found if one["tag"] == Tag.REGISTRY_CHANGE and "because" in one]


async def test_a_dormant_agent_is_refused_until_its_owner_wakes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, SETTINGS + DORMANCY) as home:
        whole = registry(quiet=MINE, busy=IN_USE)
        busy = registry(busy=IN_USE)
        past: dict[int, str] = {day: changed(busy, day) for day in range(1, DAYS + 3)}
        past[DAYS + 3] = whole
        # A new document of the one that is in use: it was looked after yesterday.
        past[1] = past[1].replace("environment: production", "environment: staging")
        await lived(home, monkeypatch, past)
        await home.start()
        await until(lambda: "agent quiet was not used for 3 days and is suspended" in home.said, "the rule")
        assert [await standing(home, name) for name in ("quiet", "busy")] == ["suspended", "active"]
        code, said = await started(home, "quiet")
        assert code != 0
        assert "active" in said, said
        woken = await asyncio.to_thread(home.command, "agent", "resume", "quiet", "--yes", "--json")
        assert json.loads(woken)["status"] == "active"
        assert (await started(home, "quiet"))[0] == 0
        # Neither the next rounds nor those after a restart forget that.
        await home.stop(signal.SIGTERM)
        before = rounds(home)
        await home.start()
        await until(lambda: rounds(home) > before + 2, "rounds after the restart")
        assert await standing(home, "quiet") == "active"
        assert "is suspended" not in home.said
        await home.stop(signal.SIGTERM)
        told = home.entries(Tag.REGISTRY_CHANGE)
        assert suspensions(told) == ["it was not used for 3 days"]
        index = next(number for number, one in enumerate(whole_log(home)) if "because" in one)
        story = " ".join(home.command("timeline", str(index)).split())
        assert "rule:dormant changed Agent/quiet, because it was not used for 3 days" in story


@pytest.mark.slow
async def test_of_two_shards_each_knows_what_the_other_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path, SETTINGS) as home:
        for shard in ("a", "b"):
            text = SETTINGS.replace("[ledger]", f'[ledger]\nshard = "{shard}"') + DORMANCY
            (home.data / f"{shard}.toml").write_text(text)
        a, b = (str(home.data / f"{shard}.toml") for shard in ("a", "b"))
        whole = registry(quiet=MINE, busy=IN_USE)
        past = {day: changed(registry(), day) for day in range(1, DAYS + 3)}
        # Long ago in a, and since then one of them in b alone.
        await lived(home, monkeypatch, {**past, DAYS + 3: whole}, Path(a))
        moved = registry(busy=IN_USE).replace("environment: production", "environment: staging")
        await lived(home, monkeypatch, {1: moved}, Path(b))
        await home.start("--config", a)
        # b ended in order, so a knows all of it, and b need not run.
        await until(lambda: "agent quiet was not used for 3 days and is suspended" in home.said, "the rule")
        assert [await standing(home, name, "--config", a) for name in ("quiet", "busy")] == [
            "suspended",
            "active",
        ]
        await home.stop(signal.SIGTERM)
        # Woken through b alone.
        await home.start("--config", b)
        await asyncio.to_thread(home.command, "--config", b, "agent", "resume", "quiet", "--yes")
        await home.stop(signal.SIGTERM)
        before = rounds(home)
        await home.start("--config", a)
        await until(lambda: rounds(home) > before + 2, "rounds of a")
        assert await standing(home, "quiet", "--config", a) == "active"
        await home.stop(signal.SIGTERM)
        logs = {shard: leaves(PublishedFiles(home.data / "ledger/shards" / shard)) for shard in ("a", "b")}
        assert suspensions(logs["a"]) == ["it was not used for 3 days"]
        assert suspensions(logs["b"]) == []
