"""A real server whose registers are an older copy, gone, or written by hand: none says other than the ledger."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.older_world import (
    BEHIND,
    BY_HAND,
    FORBIDDEN,
    SOON,
    answered,
    by_hand,
    copied,
    documents,
    notes,
    put_back,
    rows,
    taken_away,
)
from tests.up_world import House, house
from tests.workflow_tasks import give_task, noted

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def asked(home: House, text: str) -> str:
    """The id of the question that a note waits for."""
    answer = await noted(home, text)
    assert "approvalId" in answer, answer
    found: list[dict[str, Any]] = json.loads(home.command("approval", "list", "--json"))
    return str(found[0]["id"])


async def lived(home: House) -> None:
    """A server with a task whose note was approved, and not made yet."""
    await home.start()
    home.apply(documents(home.root))
    await home.serving()
    await give_task(home)
    answered(home, await asked(home, "once"))


@pytest.mark.requirement("PROJECT-01", "PROJECT-02", "SAME-17")
async def test_an_approval_that_was_used_is_used_and_a_closed_mandate_closed_over_an_older_copy(
    tmp_path: Path,
):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        copy = copied(home)
        assert "note_id" in await noted(home, "once")
        answered(home, await asked(home, "never"), "deny", "--reason", "other", "--comment", "no")
        await home.stop(signal.SIGTERM)
        live = rows(home)
        put_back(home, copy)
        await home.start()
        assert BEHIND in home.said
        await home.serving()
        assert rows(home) == live, "caught up is what lived on, field by field"
        assert "note_id" not in await noted(home, "once")
        assert "denied" in await noted(home, "never")
        assert notes(home) == ["once"]
        waiting = await asked(home, "left waiting")
        home.command("mandate", "close", "m-1", "--yes")
        assert json.loads(home.command("approval", "show", waiting, "--json"))["state"] == "denied"
        await home.stop(signal.SIGTERM)
        put_back(home, copy)
        await home.start()
        await home.serving()
        assert json.loads(home.command("approval", "show", waiting, "--json"))["state"] == "denied"
        assert "has been closed" in await noted(home, "more")
        await home.stop(signal.SIGTERM)
        await home.start()
        assert BEHIND not in home.said, "it is known up to where the registers are true"


@pytest.mark.requirement("PROJECT-03")
async def test_policies_and_documents_that_were_applied_since_an_older_copy_are_in_force(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        await home.start()
        home.apply(documents(tmp_path))
        copy = copied(home)
        home.apply(documents(tmp_path, more=FORBIDDEN, groups=("others",)))
        await home.serving()
        await give_task(home)
        refused = await noted(home, "stopped")
        await home.stop(signal.SIGTERM)
        live = rows(home)
        put_back(home, copy)
        await home.start()
        assert BEHIND in home.said
        await home.serving()
        again = await noted(home, "stopped")
        assert "approvalId" not in refused + again
        assert rows(home) == live
        assert notes(home) == []


@pytest.mark.requirement("PROJECT-04")
async def test_registers_that_are_gone_are_made_again_and_nothing_starts_empty(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        waiting = await asked(home, "waits")
        await home.stop(signal.SIGKILL)
        live = rows(home)
        taken_away(home)
        await home.start()
        assert rows(home) == live
        await home.serving()
        assert "note_id" in await noted(home, "once")
        assert json.loads(home.command("approval", "list", "--json"))[0]["id"] == waiting
        answered(home, waiting)
        assert "note_id" in await noted(home, "waits")
        assert notes(home) == ["once", "waits"]


@pytest.mark.requirement("PROJECT-05")
async def test_what_was_written_by_hand_is_as_the_ledger_says_again_and_told(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        assert "note_id" in await noted(home, "once")
        waiting = await asked(home, "waits")
        home.command("mandate", "close", "m-1", "--yes")
        await home.stop(signal.SIGTERM)
        live = rows(home)
        with by_hand(home) as registers:
            registers.execute("UPDATE mandates SET state = 'open'")
            registers.execute("UPDATE approvals SET state = 'approved'")
            registers.execute(
                "UPDATE documents SET body = CAST(replace(body, 'forbid', 'permit') AS BLOB) WHERE key LIKE 'Policy%'"
            )
        await home.start()
        assert BY_HAND in home.said
        assert waiting in home.said
        assert BY_HAND in home.command("doctor")
        assert rows(home) == live
        await home.serving()
        assert "has been closed" in await noted(home, "once")
        await home.stop(signal.SIGTERM)
        await home.start()
        assert BY_HAND not in home.said


@pytest.mark.requirement("PROJECT-20")
async def test_what_ended_and_was_opened_by_hand_has_ended_again_and_the_register_is_named(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        home.command("stop", "m-1", "--no-wait")
        assert "is held" in await noted(home, "once")
        await home.stop(signal.SIGTERM)
        for edit in (
            "UPDATE holds SET lifted_at = 1",
            "UPDATE holds SET expires_at = 1",
            "UPDATE holds SET name = 'm-2'",
            "DELETE FROM holds",
        ):
            with by_hand(home) as registers:
                registers.execute(edit)
            await home.start()
            assert f"{BY_HAND}: holds are as the ledger says again" in home.said, edit
            assert BY_HAND in home.command("doctor")
            await home.serving()
            assert "is held" in await noted(home, "once"), edit
            await home.stop(signal.SIGTERM)
        await home.start()
        assert BY_HAND not in home.said
        home.command("revoke", "mandate", "m-1", "--yes")
        await home.stop(signal.SIGTERM)
        with by_hand(home) as registers:
            registers.execute("DELETE FROM revocations")
            registers.execute("UPDATE holds SET lifted_at = 1")
            registers.execute("INSERT INTO calls_counted VALUES ('another log', 0)")
        await home.start()
        assert "budgets, holds, revocations are as the ledger says again" in home.said
        await home.serving()
        assert "has been revoked" in await noted(home, "once")


@pytest.mark.requirement("PROJECT-06")
async def test_a_row_that_no_entry_speaks_of_lets_nothing_start_and_is_named(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        await home.stop(signal.SIGTERM)
        with by_hand(home) as registers:
            registers.execute(
                "INSERT INTO mandates (id, claims, token, state) SELECT 'm-forged', claims, token, state FROM mandates"
            )
        said = await home.refused()
        assert "m-forged" in said
        assert "stand in no entry of the ledger" in said
        taken_away(home)
        await home.start()


@pytest.mark.requirement("PROJECT-07")
async def test_registers_that_know_more_than_the_log_let_nothing_start(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        await home.stop(signal.SIGTERM)
        with by_hand(home) as registers:
            registers.execute("UPDATE projections SET entries = entries + 1000")
        said = await home.refused()
        assert "ledger.entries_missing" in said or "cut or replaced by an older copy" in said


@pytest.mark.requirement("PROJECT-08")
async def test_registers_of_a_server_that_is_killed_while_it_asks_and_acts_are_what_the_ledger_makes(
    tmp_path: Path,
):
    async with house(tmp_path, SOON) as home:
        await lived(home)
        for number in range(2):
            tries = [asyncio.create_task(noted(home, f"n{number}-{one}")) for one in range(6)]
            tries.append(asyncio.create_task(noted(home, "once")))
            await asyncio.sleep(0.05 * (number + 1))
            await home.stop(signal.SIGKILL)
            await asyncio.gather(*tries, return_exceptions=True)
            await home.start()
            await home.serving()
        await noted(home, "once")
        await home.stop(signal.SIGTERM)
        live = rows(home)
        taken_away(home)
        await home.start()
        made = rows(home)
        used = {name for name, row in live.items() if name[0] == "approvals" and row[0] == "used"}
        # One that was taken for an action whose intent came to nothing is burned, and the ledger does not say so.
        assert {name for name in live if live[name] != made.get(name)} <= used
        assert live.keys() == made.keys()
        assert notes(home).count("once") <= 1
