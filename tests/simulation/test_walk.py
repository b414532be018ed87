"""The whole walk under random trouble: `answerable.testing.simulation` says what is thrown at it and what must hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from answerable.testing.builders import ledger_key
from answerable.testing.disks import FileDisk, MemoryDisk
from answerable.testing.simulation import Simulation, simulate
from answerable.testing.simulation_report import Report
from answerable.testing.trouble import faults_of
from answerable.verify.ledger_history import verify_ledger

SEEDS = range(60)
SEEDS_ON_FILES = range(1000, 1006)
SEEDS_OF_PROOF = range(10_000, 12_000)


@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-08", "BUDGET-04")
def test_whatever_strikes_the_walk_no_law_breaks():
    reports = [asyncio.run(simulate(seed)) for seed in SEEDS]
    dealt = Counter(fault for report in reports for fault in report.struck)
    print(f"{len(reports)} runs, {sum(dealt.values())} faults of {len(dealt)} kinds, {_sums(reports)}")
    # A simulation that strikes nothing proves nothing.
    assert {fault.rpartition(" ")[2] for fault in dealt} == set(faults_of("ledger.submit"))
    assert any(fault.startswith("subject_keys.of: ") for fault in dealt)
    assert sum(report.effects for report in reports) > 4 * len(reports)
    assert sum(report.crashes for report in reports) > len(reports) / 2
    assert sum(report.returned for report in reports) > len(reports)
    assert sum(report.spent for report in reports) > len(reports)
    assert sum(report.overrun for report in reports) > 5
    assert sum(report.left for report in reports) > len(reports) / 2


@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-08", "WALK-11")
@pytest.mark.parametrize("seed", SEEDS_ON_FILES)
def test_the_laws_hold_on_real_files_and_a_stranger_finds_the_log_in_order(seed: int, tmp_path: Path):
    simulation = Simulation(seed)
    disk = simulation.disk = FileDisk(tmp_path, simulation.clock)
    asyncio.run(simulation.run(lives=3, steps=25))
    report = verify_ledger(disk.place / "log", key=ledger_key())
    assert report.errors == 0, report.as_lines()
    assert report.open_intents_total == 0


@pytest.mark.requirement("WALK-12")
def test_a_seed_gives_the_same_run_every_time():
    logs = []
    for _ in range(2):
        simulation = Simulation(7)
        asyncio.run(simulation.run(lives=3, steps=25))
        disk = simulation.disk
        assert isinstance(disk, MemoryDisk)
        ledger = asyncio.run(disk.opened()).ledger
        logs.append([(stored.leaf, stored.attachment) for stored in ledger.replay()])
    assert logs[0] == logs[1]
    assert len(logs[0]) > 20


@pytest.mark.slow
@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-08")
@pytest.mark.parametrize("first", range(SEEDS_OF_PROOF.start, SEEDS_OF_PROOF.stop, 200))
def test_two_thousand_runs_break_no_law(first: int):
    reports = [asyncio.run(simulate(seed)) for seed in range(first, first + 200)]
    print(f"{sum(len(report.struck) for report in reports)} faults, {_sums(reports)}")


@pytest.mark.slow
@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-08", "WALK-11")
def test_a_hundred_runs_on_real_files_break_no_law(tmp_path: Path):
    for seed in range(SEEDS_ON_FILES.stop, SEEDS_ON_FILES.stop + 100):
        simulation = Simulation(seed)
        place = tmp_path / str(seed)
        place.mkdir()
        simulation.disk = FileDisk(place, simulation.clock)
        asyncio.run(simulation.run(lives=3, steps=25))


def _sums(reports: list[Report]) -> str:
    names = ("lives", "crashes", "attempts", "deferred", "left", "intents", "effects", "entries")
    return ", ".join(f"{sum(getattr(report, name) for report in reports)} {name}" for name in names)
