"""The whole walk under random trouble: `answerable.testing.simulation` says what is thrown at it and what must hold."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from answerable.core.containment.reach import Judged
from answerable.flows.state.worlds import PLANS_MAX, Plans
from answerable.testing.builders import ledger_key
from answerable.testing.disks import FileDisk, MemoryDisk
from answerable.testing.fault_injection import faults_of
from answerable.testing.simulation import Simulation, simulate
from answerable.testing.simulation_report import Report
from answerable.verify.ledger_history import verify_ledger

SEEDS = range(90, 130)
SEEDS_WITH_HOLDS = range(101, 161, 2)
SIM = Path(__file__).parents[2] / "tools/sim.py"
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
    # People's no holds for a while, so that what they denied is not done a moment later.
    assert sum(report.effects for report in reports) > 3 * len(reports)
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
    logs = [log_of(Simulation(7)) for _ in range(2)]
    assert logs[0] == logs[1]
    assert len(logs[0]) > 20


class Planned(Simulation):
    """What a plan spares cannot fail, so that the same befalls whoever keeps none."""

    def __init__(self, seed: int, plans_max: int) -> None:
        super().__init__(seed)
        self.plans_max = plans_max

    def _fault(self, rate: float, method: str):
        return super()._fault(rate, method) if method != "mandates.find" else None

    def _bench(self, stores, trouble):
        bench, ledger = super()._bench(stores, trouble)
        bench.walk.verification.plans = Plans(self.plans_max)
        return bench, ledger


@pytest.mark.requirement("HOUSE-15")
def test_a_walk_that_keeps_plans_writes_what_one_writes_that_keeps_none():
    written = 0
    for seed in range(30):
        logs = []
        for plans_max in (0, 1, PLANS_MAX):
            logs.append(log_of(Planned(seed, plans_max)))
        assert logs[0] == logs[1] == logs[2], seed
        written += len(logs[0])
    assert written > 30 * 20


def log_of(simulation: Simulation) -> list[tuple[bytes, bytes]]:
    asyncio.run(simulation.run(lives=3, steps=25))
    disk = simulation.disk
    assert isinstance(disk, MemoryDisk)
    ledger = asyncio.run(disk.opened()).ledger
    return [(stored.leaf, stored.attachment) for stored in ledger.replay()]


@pytest.mark.requirement("HOLD-18")
def test_random_holds_stop_whatever_they_reach_and_nothing_is_ever_allowed_by_one():
    reports = [asyncio.run(simulate(seed)) for seed in SEEDS_WITH_HOLDS]
    sums = {
        name: sum(getattr(one, name) for one in reports)
        for name in ("held", "lifted", "cut", "crashes", "effects")
    }
    print(sums)
    struck = {fault for report in reports for fault in report.struck}
    assert any(fault.startswith("holds.") for fault in struck)
    assert sums["held"] > 2 * len(reports)
    assert sums["lifted"] > len(reports) / 4
    assert sums["cut"] > 0
    assert sums["effects"] > len(reports)


@pytest.mark.requirement("HOLD-18")
@pytest.mark.parametrize("law", ["looked at again", "on record"])
def test_a_walk_that_forgets_holds_is_found_out(monkeypatch: pytest.MonkeyPatch, law: str):
    """The model of the simulation finds what it is there to find."""
    if law == "looked at again":
        monkeypatch.setattr(Judged, "hold", lambda _self, _now: None)
        monkeypatch.setattr(Judged, "stopped", lambda _self, _now: "")
        monkeypatch.setattr("answerable.flows.revocation.place_hold.cut_held", lambda *_: 0)
    else:
        monkeypatch.setattr("answerable.flows.revocation.place_hold._record", forgotten)
    with pytest.raises(AssertionError, match="was held" if law == "looked at again" else "is not on record"):
        until_broken()


def until_broken() -> None:
    for seed in SEEDS_WITH_HOLDS:
        asyncio.run(simulate(seed))


async def forgotten(*_: object) -> None:
    """Writes nothing down."""


@pytest.mark.requirement("HOLD-18")
def test_a_run_is_told_as_it_happens_by_its_seed_alone():
    said = [
        subprocess.run(
            [sys.executable, str(SIM), "7"], capture_output=True, text=True, check=True, timeout=120
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1]
    assert re.search(r"^hold: .* is held for ", said[0], re.MULTILINE)
    assert re.search(r"^lift: ", said[0], re.MULTILINE)
    assert said[0].splitlines()[-1].endswith("no law broken")
    done = subprocess.run([sys.executable, str(SIM)], capture_output=True, text=True, check=False)
    assert (done.returncode, "usage: ./dev sim SEED" in done.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-08", "HOLD-18")
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
