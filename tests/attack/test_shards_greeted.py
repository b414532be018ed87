"""Whether the process of a shard answers is found out by asking it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from answerable.adapters.shard_socket.place import made_directory, socket_of
from answerable.api.ledger_answers import Shard
from answerable.apps.cli.checks import _shard_finding
from answerable.errors import Unavailable
from answerable.flows.ledger import greet_shards
from answerable.flows.ledger.greet_shards import shard_processes
from tests.worlds.link import BASE, A, door, link_of, shard, two_shards

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-01")]
B = f"{BASE}/b"


async def test_a_process_that_runs_and_one_that_does_not_are_told_apart(tmp_path: Path) -> None:
    a, b = await two_shards(tmp_path / "links")
    async with door(tmp_path / "links", "a", a):
        assert await shard_processes(b.walk.live.link, B) == {B: "this", A: "running"}
    assert await shard_processes(b.walk.live.link, B) == {B: "this", A: "not_running"}
    assert await shard_processes(None, B) == {B: "this"}


async def test_a_process_that_takes_a_connection_and_says_nothing_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greet_shards, "SECONDS_MAX", 0.05)
    made_directory(tmp_path / "links")
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(socket_of(tmp_path / "links", "a")))
        frozen.listen()
        assert await shard_processes(link_of(tmp_path / "links", "b"), B) == {B: "this", A: "silent"}


async def test_a_process_answers_for_its_own_log_alone(tmp_path: Path) -> None:
    other = await shard("b").registered()
    async with door(tmp_path / "links", "a", other):
        await link_of(tmp_path / "links", "b").greet(A)
        with pytest.raises(Unavailable):
            await link_of(tmp_path / "links", "b").greet("somebody.else/a")


def test_a_shard_that_does_not_run_is_shown_by_doctor_and_is_no_fault() -> None:
    def said(process: str, state: str = "ok") -> tuple[str, str]:
        found = _shard_finding(Shard(origin=A, state=state, covered=47, reason="", process=process))
        return found.state, found.says

    assert said("this") == ("ok", f"{A}: covered up to entry 47")
    assert said("running") == ("ok", f"{A}: covered up to entry 47; running")
    assert said("not_running") == ("look at", f"{A}: covered up to entry 47; not running")
    assert said("silent") == ("look at", f"{A}: covered up to entry 47; its process gives no answer")
    assert said("not_running", "alarm")[0] == "fault"
