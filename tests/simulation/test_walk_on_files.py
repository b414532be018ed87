"""The walk under random trouble on real files, many seeds: what a stranger finds in the log at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from answerable.testing.builders import ledger_key
from answerable.testing.disks import FileDisk
from answerable.testing.simulation import Simulation
from answerable.verify.ledger_history import verify_ledger

FIRST, COUNT, PARTS = 20_000, 300, 6


@pytest.mark.slow
@pytest.mark.requirement("WALK-12", "WALK-03", "PROVE-05")
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_strikes_the_walk_on_files_the_log_is_in_order(tmp_path: Path, part: int) -> None:
    for seed in range(FIRST + part * COUNT // PARTS, FIRST + (part + 1) * COUNT // PARTS):
        simulation = Simulation(seed)
        place = tmp_path / str(seed)
        place.mkdir()
        disk = simulation.disk = FileDisk(place, simulation.clock)
        asyncio.run(simulation.run(lives=3, steps=25))
        report = verify_ledger(disk.place / "log", key=ledger_key())
        assert report.errors == 0, f"seed {seed}: {report.as_lines()}"
        assert report.open_intents_total == 0, f"seed {seed}"
    print(f"{COUNT // PARTS} runs on files")
