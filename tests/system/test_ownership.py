"""Who answers for an agent, and where it runs, at the command line: nobody is too few, and two places are too many."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.up import House, house, registry

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LIFE-08")]
WHOLE = registry(bot=[[f"unix:uid:{os.getuid()}"]])
PEOPLE, AGENT = WHOLE.rsplit("---\n", 1)


def with_agent(old: str, new: str) -> str:
    assert old in AGENT
    return f"{PEOPLE}---\n{AGENT.replace(old, new)}"


def shown(home: House) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.command("agent", "show", "bot", "--json"))
    return found


def refusal(home: House, documents: str) -> str:
    """What is said where nothing was changed."""
    place = home.root / "registry.yaml"
    place.write_text(documents)
    return home.command("apply", "-f", str(place), code=1)


@pytest.mark.parametrize("field", ["owner", "backupOwner"])
async def test_an_agent_without_owner_or_backup_owner_is_not_in_force_and_says_which_to_write(
    tmp_path: Path, field: str
) -> None:
    async with house(tmp_path) as home:
        name = "ada" if field == "owner" else "bela"
        await asyncio.to_thread(home.apply, with_agent(f"{field}: {name}, ", ""))
        found = await asyncio.to_thread(shown, home)
        assert (found["active"], found["reasons"]) == (
            False,
            [f"ownership lacks {field}: write it into the document"],
        )
        told = await asyncio.to_thread(home.command, "agent", "join-token", "bot", "--label", "x", code=3)
        assert "not active" in told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "backupOwner: bela",
            "backupOwner: ada",
            "owner and backupOwner are both `ada`: name another person",
        ),
        ("backupOwner: bela", "backupOwner: nobody", "no Principal is called `nobody`"),
        ("owner: ada", "owner: nobody", "no Principal is called `nobody`"),
        ("  environment: production\n", "", "`environment` is missing"),
        ("environment: production", "environment: [production, staging]", "write exactly one"),
        ("environment: production", "environment: production,staging", "is not a name: use"),
        ("environment: production", "environment: {a: b}", "expected text"),
        ("environment: production", 'environment: ""', "expected text, got an empty one"),
        (
            "environment: production\n",
            "environment: production\n  environment: staging\n",
            "`environment` is written twice",
        ),
    ],
)
async def test_a_document_with_no_second_person_or_not_exactly_one_environment_changes_nothing(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    async with house(tmp_path) as home:
        told = await asyncio.to_thread(refusal, home, with_agent(old, new))
        assert said in told
        assert "nothing was changed" in told
        assert json.loads(await asyncio.to_thread(home.command, "agent", "list", "--json")) == []


@pytest.mark.parametrize("person", ["ada", "bela"])
async def test_with_its_owner_or_its_backup_owner_an_agent_goes_out_of_force_and_comes_back(
    tmp_path: Path, person: str
) -> None:
    async with house(tmp_path) as home:
        await asyncio.to_thread(home.apply, WHOLE)
        assert (await asyncio.to_thread(shown, home))["active"]
        name = person.capitalize()
        disabled = WHOLE.replace(f"displayName: {name}", f"status: disabled, displayName: {name}")
        await asyncio.to_thread(home.apply, disabled)
        found = await asyncio.to_thread(shown, home)
        assert not found["active"]
        assert f"its principal `{person}` is not active" in found["reasons"]
        # Somebody else steps in.
        other = (
            WHOLE.replace("metadata: {name: bela}", "metadata: {name: cleo}") if person == "bela" else WHOLE
        )
        other = other.replace("backupOwner: bela", "backupOwner: cleo") if person == "bela" else other
        await asyncio.to_thread(home.apply, other)
        assert (await asyncio.to_thread(shown, home))["active"]
