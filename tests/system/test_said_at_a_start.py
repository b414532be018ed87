"""What a start says of settings that let it run, and do not do what whoever wrote them wants."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.worlds.up import PEOPLE, SETTINGS, house, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.requirement("WORDS-14"),
]


async def test_a_group_that_nobody_is_in_and_a_file_for_targets_are_said_at_the_start(tmp_path: Path) -> None:
    settings = f"{SETTINGS}[policy]\npublishers = 'board'\n[broker]\ntargets = 'targets.toml'\n"
    async with house(tmp_path, settings) as place:
        await asyncio.to_thread(place.apply, PEOPLE)
        (place.data / "targets.toml").touch(mode=0o600)
        await place.start()
        await until(lambda: "no broker is started: `broker.targets`" in place.said, "the targets")
        assert "group `board`, whose members publish policy sets" in place.said


async def test_a_group_that_somebody_is_in_is_not_said(tmp_path: Path) -> None:
    async with house(tmp_path, f"{SETTINGS}[policy]\npublishers = 'leads'\n") as place:
        await asyncio.to_thread(place.apply, PEOPLE)
        await place.start()
        assert "whose members publish policy sets" not in place.said
        assert "no broker is started" not in place.said


async def test_a_witness_whose_name_fits_no_note_keeps_the_server_from_starting(tmp_path: Path) -> None:
    async with house(tmp_path, f"{SETTINGS}[local_witness]\nname = 'a b'\n") as place:
        said = await place.refused()
        assert "local_witness.name" in said
        assert "not a key name" in said
