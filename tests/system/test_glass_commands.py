"""Breaking the glass and reviewing it, as people do it at a terminal beside the real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.core.canonical import parse
from answerable.sdk.keyfile import create_key
from answerable.testing.samples import document
from tests.worlds.gateway import FORBID, PERMIT, registry
from tests.worlds.mandate import changed
from tests.worlds.up import SETTINGS, House, house
from tests.worlds.workflow_tasks import give_task, noted

pytestmark = pytest.mark.anyio
REASON = "the customer is on the phone and bob is on a plane"
LATE = SETTINGS.replace("[walk]", "[walk]\nglass_review_ms = 60000\nbreak_glass_ms = 3600000").replace(
    "[gateway]", "[gateway]\napproval_wait_seconds = 1"
)


def documents(root: Path) -> str:
    """Notes wait for an approver; who is on call may let them run alone."""
    people = []
    for number, (name, group) in enumerate((("olga", "on-call"), ("pia", "approvers"))):
        key = create_key(root / f"{name}.jwk", seed=bytes([number]) * 32)
        people.append(
            document("Principal", name, {"groups": [group], "keys": [parse(key.public.jwk.encode())]})
        )
    policies = PERMIT + FORBID["crm"].replace(
        '@approve("approvers:1")', '@approve("approvers:1") @break_glass("on-call")'
    )
    found = changed([*registry(root, ["crm"]), *people], "PolicySet", "house", policies=policies)
    return yaml.safe_dump_all(found, sort_keys=False)


def signed(home: House, verb: str, *more: str, who: str, code: int = 0) -> str:
    """A command that somebody signs."""
    key = str(home.root / f"{who}.jwk")
    return home.command("approval", verb, *more, "--as", who, "--key", key, "--yes", code=code)


def listed(home: House, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(home.command("approval", "list", *more, "--json"))
    return found


@pytest.mark.requirement("GLASS-08")
async def test_a_glass_is_broken_and_reviewed_at_the_terminal(tmp_path: Path):
    async with house(tmp_path, LATE) as home:
        await home.start()
        home.apply(documents(tmp_path))
        await home.serving()
        await give_task(home)
        assert "approval" in await noted(home, "call back today")
        (waiting,) = listed(home)
        assert waiting["break_glass"] == ["on-call"]
        short = signed(home, "break-glass", waiting["id"], "--reason", "urgent", who="olga", code=3)
        assert "give a reason of at least 20 characters" in short
        other = signed(home, "break-glass", waiting["id"], "--reason", REASON, who="pia", code=3)
        assert "on-call may use break-glass" in other
        assert "exactly this will run" in signed(
            home, "break-glass", waiting["id"], "--reason", REASON, who="olga"
        )
        assert "note_id" in await noted(home, "call back today")
        assert REASON in home.command("approval", "list", "--reviews")
        (owed,) = listed(home, "--reviews")
        assert (owed["id"], owed["review"]["state"], owed["state"]) == (waiting["id"], "owed", "used")
        assert "1 of break-glass uses" in home.command("status")
        assert "approval review" in home.command("doctor")
        judged = ("review", waiting["id"], "--verdict", "justified", "--comment", "nobody else was there")
        assert "another person must review it" in signed(home, *judged, who="olga", code=3)
        assert REASON in signed(home, *judged, who="pia")
        assert listed(home, "--reviews") == []
        assert "of break-glass uses" not in home.command("status")
        told = home.command("timeline", waiting["id"])
        assert "olga broke the glass of approval" in told
        assert "pia found the broken glass" in told
