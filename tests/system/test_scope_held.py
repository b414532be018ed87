"""Attempts outside of scope on a real server: the one past the limit trips the hold, also over older registers."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.testing.samples import OWNERSHIP, document
from tests.worlds.older import SOON, copied, documents, put_back
from tests.worlds.up import House, house
from tests.worlds.workflow_tasks import give_task, noted

pytestmark = pytest.mark.anyio
LIMIT = {"watches": "outside_scope", "limit": 2, "within": "1h", "ownership": {**OWNERSHIP}}


async def again(home: House, how: signal.Signals, registers: Path) -> None:
    """Ended, with the registers put back, and started."""
    await home.stop(how)
    put_back(home, registers)
    await home.start()
    await home.serving()


def holds(home: House) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(home.command("hold", "list", "--json"))
    return found


@pytest.mark.requirement("SCOPE-03", "SCOPE-04")
async def test_no_restart_and_no_older_copy_forgets_an_attempt_outside_of_scope(tmp_path: Path):
    async with house(tmp_path, SOON) as home:
        rule = yaml.safe_dump_all([document("StopRule", "strays", LIMIT)])
        home.apply(f"{documents(tmp_path)}---\n{rule}")
        await home.start()
        await home.serving()
        await give_task(home)
        home.command("mandate", "close", "m-1", "--yes")
        before = copied(home)
        assert "has been closed" in await noted(home, "first")
        await again(home, signal.SIGTERM, before)
        assert "has been closed" in await noted(home, "second")
        assert not holds(home)
        await again(home, signal.SIGKILL, before)
        assert "has been closed" in await noted(home, "third")
        assert "is held" in await noted(home, "fourth")
        (hold,) = holds(home)
        assert (hold["kind"], hold["name"]) == ("agent", "scout")
        told = json.loads(home.command("scope", "agent:scout", "--json"))
        assert (told["outside"], told["limits"]) == (3, {"mandate": 3})
        await again(home, signal.SIGKILL, before)
        assert "is held" in await noted(home, "fifth")
        assert [one["id"] for one in holds(home)] == [hold["id"]]
