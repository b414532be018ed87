"""Whole products on one data directory: what one revokes, the others know, whether they sleep, work or are gone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.ledger.tags import Tag
from tests.worlds.shard_house import SECONDS_MAX, House, Shard, leaves, made_house, until


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


def revoked(house: House, mandate: str, *, through: str) -> dict[str, Any]:
    found = json.loads(house.command(through, "revoke", "mandate", mandate, "--yes", "--json").stdout)
    assert isinstance(found, dict)
    return found


def asked(answer: dict[str, Any]) -> dict[str, bool]:
    return {one["log"].rpartition("/")[2]: one["asked"] for one in answer["logs"]}


def upstream_of(shard: Shard) -> int:
    """The process of the CRM that this one started."""
    for one in Path("/proc").iterdir():
        if one.name.isdigit():
            try:
                parent = (one / "stat").read_text().rpartition(") ")[2].split()[1]
                line = (one / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == str(shard.process.pid) and b"crm.py" in line:
                return int(one.name)
    raise AssertionError("it has no upstream")


@pytest.mark.requirement("REVOKE-02", "REVOKE-15")
def test_a_product_that_was_stopped_during_the_revocation_refuses_its_very_next_action(house: House) -> None:
    with house.up("a") as a, house.up("b"), ThreadPoolExecutor(1) as agent:
        mandate = house.issue("a")
        a.acted(mandate)
        # Until the upstream was there, it refused for that.
        began = a.status()["entries"]
        a.process.send_signal(signal.SIGSTOP)
        try:
            told = revoked(house, mandate, through="b")
            # The action waits at its door: it is among the very first things that the process does.
            answer = agent.submit(a.no, mandate)
        finally:
            a.process.send_signal(signal.SIGCONT)
        assert f"mandate `{mandate}` has been revoked" in answer.result(SECONDS_MAX)
        assert told["new"]
        assert asked(told) == {"b": True, "a": False}
        [silent] = [one for one in told["logs"] if not one["asked"]]
        assert "gave no answer in" in silent["why"]
        again = revoked(house, mandate, through="b")
        assert asked(again) == {"b": True, "a": True}
        assert {one["log"].rpartition("/")[2] for one in again["done"]} == {"a"}
    entries = leaves(PublishedFiles(house.data / "ledger/shards/a"))
    assert [one["code"] for one in entries[began:] if one["tag"] == Tag.REFUSAL] == ["revoked.mandate"]
    assert len([one for one in entries if one["tag"] == Tag.INTENT]) == again["done_count"]["read"]


@pytest.mark.requirement("REVOKE-15")
def test_what_one_product_has_in_flight_is_named_by_the_one_that_revokes_and_one_that_is_gone_is_named_too(
    house: House,
) -> None:
    with house.up("a") as a, house.up("b"), ThreadPoolExecutor(1) as agent:
        mandate = house.issue("a")
        a.acted(mandate)
        upstream, entries = upstream_of(a), a.status()["entries"]
        os.kill(upstream, signal.SIGSTOP)
        try:
            answer = agent.submit(a.call, mandate)
            until(lambda: a.status()["entries"] > entries, "the intent")
            told = house.command("b", "revoke", "mandate", mandate, "--reason", "seen elsewhere", "--yes")
        finally:
            os.kill(upstream, signal.SIGCONT)
        [flying] = [one for one in told.stdout.splitlines() if one.startswith("in flight")]
        assert "over by" in flying
        assert "/a" in flying
        # It had started, so it ended as it would have.
        assert not answer.result(SECONDS_MAX)["result"].get("isError", False)
        assert "has been revoked" in a.no(mandate)
        a.killed()
        gone = house.command("b", "revoke", "mandate", mandate, "--yes")
        assert "could not be queried: shard `a` is not running" in gone.stderr
