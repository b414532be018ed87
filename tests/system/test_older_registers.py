"""A real server whose registers are an older copy, gone, or written by hand: none says other than the ledger."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.older import (
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
from tests.worlds.up import House, house
from tests.worlds.workflow_tasks import give_task, noted

pytestmark = pytest.mark.anyio


async def asked(home: House, text: str) -> str:
    """The id of the question that a note waits for."""
    answer = await noted(home, text)
    assert "approvalId" in answer, answer
    found: list[dict[str, Any]] = json.loads(home.command("approval", "list", "--json"))
    return str(found[0]["id"])


@pytest.fixture(scope="module")
async def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Path]:
    """A server that has ended, with a task whose note was approved and not made yet; and a copy of all that it has."""
    root: Path = tmp_path_factory.mktemp("lived")
    async with house(root, SOON) as home:
        await home.start()
        home.apply(documents(home.root))
        await home.serving()
        await give_task(home)
        answered(home, await asked(home, "once"))
        await home.stop(signal.SIGTERM)
    kept = root.with_name(f"{root.name}-kept")
    shutil.copytree(root, kept)
    return home, kept


@pytest.fixture
async def home(lived: tuple[House, Path]) -> AsyncIterator[House]:
    """That one, and nothing of what another test did to it."""
    home, kept = lived
    shutil.rmtree(home.root)
    shutil.copytree(kept, home.root)
    yield home
    if home.process is not None:
        await home.stop(signal.SIGKILL)


@pytest.mark.requirement("PROJECT-01", "PROJECT-02", "SAME-17")
async def test_an_approval_that_was_used_is_used_and_a_closed_mandate_closed_over_an_older_copy(
    home: House,
):
    await home.start()
    await home.serving()
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


LATE = """\
from answerable.adapters.sqlite.uses_behind import UsesBehind
UsesBehind.follow = lambda self: None
UsesBehind.write = lambda self: self._transaction()
"""


@pytest.mark.requirement("HOUSE-71")
async def test_killed_before_the_row_of_a_use_is_stored_it_is_used_from_the_start_on(
    home: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(LATE)
    path = os.pathsep.join((str(tmp_path), home.environment["PYTHONPATH"]))
    with monkeypatch.context() as patched:
        patched.setattr(home, "more", {"PYTHONPATH": path})
        await home.start()
        await home.serving()
        assert "note_id" in await noted(home, "once")
        await home.stop(signal.SIGKILL)
    states = [row for (table, _), row in rows(home).items() if table == "approvals"]
    assert [row for row in states if "approved" in row], "the row is behind"
    await home.start()
    assert BEHIND in home.said
    await home.serving()
    assert "note_id" not in await noted(home, "once")
    assert notes(home) == ["once"]


@pytest.mark.requirement("PROJECT-03")
async def test_policies_and_documents_that_were_applied_since_an_older_copy_are_in_force(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        home.apply(documents(tmp_path))
        copy = copied(home)
        await home.start()
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
async def test_registers_that_are_gone_are_made_again_and_nothing_starts_empty(home: House):
    await home.start()
    await home.serving()
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
async def test_what_was_written_by_hand_is_as_the_ledger_says_again_and_told(home: House):
    await home.start()
    await home.serving()
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
    assert BY_HAND not in home.command("doctor")


@pytest.mark.requirement("PROJECT-20")
async def test_what_ended_and_was_opened_by_hand_has_ended_again_and_the_register_is_named(home: House):
    await home.start()
    home.command("stop", "m-1", "--no-wait")
    held = home.command("hold", "list", "--json")
    await home.stop(signal.SIGTERM)
    for edit in (
        "UPDATE holds SET lifted_at = 1",
        "UPDATE holds SET expires_at = 1",
        "UPDATE holds SET name = 'm-2'",
    ):
        with by_hand(home) as registers:
            registers.execute(edit)
        # A command that works without a server opens the registers as a start does.
        assert f"{BY_HAND}: holds were restored from the ledger" in home.command("doctor"), edit
        assert home.command("hold", "list", "--json") == held, edit
    with by_hand(home) as registers:
        registers.execute("DELETE FROM holds")
    await home.start()
    assert f"{BY_HAND}: holds were restored from the ledger" in home.said
    await home.serving()
    assert "is held" in await noted(home, "once")
    home.command("revoke", "mandate", "m-1", "--yes")
    await home.stop(signal.SIGTERM)
    with by_hand(home) as registers:
        registers.execute("DELETE FROM revocations")
        registers.execute("UPDATE holds SET lifted_at = 1")
        registers.execute("INSERT INTO calls_counted VALUES ('another log', 0)")
    await home.start()
    told = f"{BY_HAND}: budgets, holds, revocations were restored from the ledger"
    assert told in home.said
    assert told in home.command("doctor")
    await home.serving()
    assert "has been revoked" in await noted(home, "once")


@pytest.mark.requirement("PROJECT-06")
async def test_a_row_that_no_entry_speaks_of_lets_nothing_start_and_is_named(home: House):
    with by_hand(home) as registers:
        registers.execute(
            "INSERT INTO mandates (id, claims, token, state) SELECT 'm-forged', claims, token, state FROM mandates"
        )
    said = await home.refused()
    assert "m-forged" in said
    assert "are in no ledger entry" in said
    taken_away(home)
    await home.start()


@pytest.mark.requirement("PROJECT-07")
async def test_registers_that_know_more_than_the_log_let_nothing_start(home: House):
    with by_hand(home) as registers:
        registers.execute("UPDATE projections SET entries = entries + 1000")
    said = await home.refused()
    assert "ledger.entries_missing" in said or "cut or replaced by an older copy" in said


@pytest.mark.requirement("PROJECT-08")
async def test_registers_of_a_server_that_is_killed_while_it_asks_and_acts_are_what_the_ledger_makes(
    home: House,
):
    await home.start()
    await home.serving()
    tries = [asyncio.create_task(noted(home, f"n-{one}")) for one in range(6)]
    tries.append(asyncio.create_task(noted(home, "once")))
    await asyncio.sleep(0.1)
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
