"""S-15: an agent that deletes mail is told to stop, ignores it and goes on trying; and the panic button.

Real parts: the server, an MCP server that deletes what it is told to, an agent that the kernel attests, its sub-agent.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from answerable.core.identity.keys.keys import SigningKey
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unverified
from answerable.sdk.proof_auth import SignatureAuth
from tests.worlds.enrolment import fresh_key
from tests.worlds.mail import Mailbox, mailbox
from tests.worlds.up import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="agents are attested by Linux's kernel"),
]
PURGES = 3


@pytest.mark.requirement("STOP-08", "STOP-03", "STOP-04")
async def test_an_agent_that_deletes_mail_and_ignores_replies_is_stopped_whole(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        scout, sub = fresh_key(), fresh_key()
        instance = await box.instance(scout)
        child = await box.instance(sub, parent=scout)
        await box.deletes(scout, "first")
        waiting = (await box.asked(scout, "tools/call", "mail_empty", which="trash"))["text"]
        [approval] = (await box.told("/v1/approvals?state=pending"))["items"]
        assert approval["id"] in waiting
        numbers, stop_at_last = itertools.count(), asyncio.Event()
        seen: list[bool] = []

        async def deleting() -> None:
            """Twenty a second, whatever comes of it."""
            key = itertools.cycle((scout, sub))
            while not stop_at_last.is_set():
                seen.append(await box.does(next(key), "tools/call", "mail_delete", which=str(next(numbers))))
                await asyncio.sleep(0.05)

        async with asyncio.TaskGroup() as tasks:
            for number in range(PURGES):
                tasks.create_task(box.asked(scout, "tools/call", "mail_purge", which=str(number)))
            tasks.create_task(deleting())
            await until(
                lambda: (
                    sum(line.startswith("began mail_purge") for line in box.book) == PURGES
                    and seen.count(True) > 20
                ),
                "an agent at work",
            )
            told = await box.command("stop", "scout", "--reason", "it deletes mail", "--json")
            done = box.deleted
            # It goes on trying: with what it has, and with whatever it may think of.
            count = len(seen)
            await until(lambda: len(seen) > count + 20, "an agent that goes on trying")
            assert not any(seen[count + 2 :])
            await _every_other_way(box, scout)
            stop_at_last.set()
        assert box.deleted == done
        await _check_report(box, told, approval["id"], {instance, child})
        hold = told["hold"]["id"]
        (tmp_path / "go").touch()
        await box.lift(hold)
        # Whoever was ended comes back by attesting anew, and what was denied stays denied.
        with pytest.raises((Refused, Unverified)):
            async with box.enrolling() as client:
                await client.renew(SignatureAuth(scout))
        again = fresh_key()
        await box.instance(again)
        await box.deletes(again, "again")
        assert (await box.told(f"/v1/approvals/{approval['id']}"))["state"] == "denied"
        await box.home.stop(signal.SIGTERM)
        _check_ledger(box, hold)


async def _every_other_way(box: Mailbox, scout: SigningKey) -> None:
    another = fresh_key()
    for parent in (None, scout):
        assert not await box.is_let_in(another, parent)
    for key in (scout, another):
        assert not await box.does(key, "tools/call", "mail_purge", which="more")
        assert not await box.does(key, "resources/read", "mail://box")
        assert not await box.does(key, "prompts/get", "tidy")
        for listed in ("tools/list", "resources/list", "prompts/list"):
            said = await box.asked(key, listed)
            assert "mail_delete" not in said["text"]
    assert not [line for line in box.book if line.startswith(("began resource", "began prompt"))]


async def _check_report(box: Mailbox, told: dict[str, Any], approval: str, instances: set[str]) -> None:
    report = told["report"]
    assert report["complete"]
    assert report["started_after_count"] == 0
    assert report["stopped"]["approvals"] == [approval]
    assert set(report["stopped"]["instances"]) == instances
    assert report["stopped"]["mandates"] == [box.mandate]
    purges = [one for one in report["in_flight"] if one["capability"] == "mail.purge"]
    assert [one["status"] for one in purges] == ["indeterminate"] * PURGES
    assert all(one["outcome"] > one["entry"] for one in report["in_flight"])
    assert all(one["entry"] < report["entry"] for one in report["in_flight"])
    assert "running" not in {one["status"] for one in report["in_flight"]}
    assert report["stopped"]["cut"] >= PURGES
    assert report["last_effect"]["capability"] == "mail.delete"
    assert report["last_effect"]["entry"] < report["entry"]
    assert report["done_count"]["not_reversible"] >= len(box.deleted)
    # The mailbox was told to cancel and did not say that it has: nobody claims that it is over.
    live = {one["name"] for one in report["live"] if one["kind"] == "action"}
    assert {one["action"] for one in purges} <= live
    report = await _written_report(box, told["hold"]["id"])
    assert report["recorded"] > report["entry"]


async def _written_report(box: Mailbox, hold: str) -> dict[str, Any]:
    """Nobody who pressed has to stay for it."""
    for _ in range(300):
        report: dict[str, Any] = await box.told(f"/v1/holds/{hold}/report")
        if report["recorded"] is not None:
            return report
        await asyncio.sleep(0.1)
    raise AssertionError("the report was not written down")


def _check_ledger(box: Mailbox, hold: str) -> None:
    [placed] = box.home.entries(Tag.HOLD_PLACED)
    [report] = box.home.entries(Tag.CONTAINMENT_REPORT)
    assert placed["hold"] == report["hold"] == hold
    assert placed["in_flight_count"] >= PURGES
    assert (report["after"], sum(report["ended"].values())) == (0, report["in_flight_count"])
    ends = box.home.entries(Tag.WORKLOAD_ENDED)
    assert {one["because"] for one in ends if one["at"] >= placed["since"]} >= {"held"}


@pytest.mark.requirement("STOP-06", "STOP-07")
async def test_panic_holds_a_running_server_and_goes_on_when_the_file_and_the_server_are_gone(
    tmp_path: Path,
) -> None:
    async with mailbox(tmp_path) as box:
        scout = fresh_key()
        await box.instance(scout)
        await box.deletes(scout, "first")
        hold = (await box.command("panic", "--reason", "stop it all", "--json"))["hold"]
        assert (hold["kind"], hold["source"], hold["reason"]) == ("everything", "panic", "stop it all")
        # Pressed again it is another hold, and whoever pressed is told that there are two to lift.
        again = await box.command("panic", "--yes", "--json")
        assert again["hold"]["id"] != hold["id"]
        assert (again["again"], again["standing"]) == (True, [hold["id"]])
        in_force = (await box.told("/v1/holds?state=in_force"))["items"]
        assert [one["id"] for one in in_force] == [again["hold"]["id"], hold["id"]]
        assert not await box.does(scout, "tools/call", "mail_delete", which="second")
        (box.home.data / "panic").unlink()
        await box.home.stop(signal.SIGKILL)
        await box.home.start()
        assert await box.is_let_in(fresh_key()) is False
        assert [line.rpartition(" ")[2] for line in box.deleted] == ["first"]


@pytest.mark.requirement("STOP-06", "STOP-07")
async def test_panic_holds_a_server_that_was_down_before_it_answers_anybody_and_once(tmp_path: Path) -> None:
    async with mailbox(tmp_path) as box:
        await box.home.stop(signal.SIGKILL)
        assert (await box.command("panic", "--json"))["hold"] is None
        await box.home.start()
        again = fresh_key()
        assert await box.is_let_in(again) is False
        [hold] = (await box.told("/v1/holds?state=in_force"))["items"]
        assert hold["source"] == "panic"
        await box.lift(hold["id"])
        # The file is still there, and its press was one.
        await box.home.stop(signal.SIGTERM)
        await box.home.start()
        assert await box.is_let_in(again)
        await box.deletes(again, "after")
