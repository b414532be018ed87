"""A registry file that is applied once more gives nobody back whom an operator has stopped since."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.worlds.up import House, house, registry

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LIFE-10")]
WHOLE = registry(helper=[[f"unix:uid:{os.geteuid()}"]])
SPEC = "metadata: {name: helper}\nspec:\n"
ACTIVE = WHOLE.replace(SPEC, f"{SPEC}  status: active\n")


async def standing(home: House) -> tuple[bool, str]:
    found = json.loads(await asyncio.to_thread(home.command, "agent", "show", "helper", "--json"))
    return found["active"], found["status"]


@pytest.mark.parametrize("verb", ["suspend", "retire"])
async def test_a_file_that_says_nothing_of_standing_leaves_it_as_it_is(tmp_path: Path, verb: str) -> None:
    async with house(tmp_path) as home:
        await home.start()
        await asyncio.to_thread(home.apply, WHOLE)
        await asyncio.to_thread(home.command, "agent", verb, "helper", "--yes")
        for more in (WHOLE, WHOLE.replace("environment: production", "environment: staging")):
            place = home.root / "again.yaml"
            place.write_text(more)
            shown = await asyncio.to_thread(home.command, "diff", "-f", str(place))
            assert "status" not in shown
            await asyncio.to_thread(home.apply, more)
            assert await standing(home) == (False, {"suspend": "suspended", "retire": "retired"}[verb])
        await asyncio.to_thread(home.command, "agent", "up", "--agent", "helper", "--", "true", code=3)


async def test_only_a_suspended_agent_comes_back_and_only_where_it_is_said(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.start()
        await asyncio.to_thread(home.apply, WHOLE)
        await asyncio.to_thread(home.command, "agent", "suspend", "helper", "--yes")
        await asyncio.to_thread(home.apply, ACTIVE)
        assert await standing(home) == (True, "active")
        await asyncio.to_thread(home.command, "agent", "retire", "helper", "--yes")
        for status in ("active", "suspended"):
            place = home.root / "back.yaml"
            place.write_text(ACTIVE.replace("status: active", f"status: {status}"))
            for more in ((), ("--dry-run",)):
                refused = await asyncio.to_thread(home.command, "apply", "-f", str(place), *more, code=3)
                assert "is retired, for good" in refused
        assert await standing(home) == (False, "retired")
