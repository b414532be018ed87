"""Power cuts at every call that a writer makes: whatever of the unsynced bytes and names is lost, no promise is.

A real writer is recorded call by call, with the moments of its promises. Each case is a disk as a cut may have left it
(tests/probes/disk_model.py); a stranger who kept every signed statement looks at it, the log is opened, and goes on.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.probes.crash_cases import Case, Trace, cases, recorded, require_survived
from tests.probes.disk_model import Sync, SyncNames
from tests.worlds.ledger_promises import PromiseBroken
from tests.worlds.ledger_script import SCRIPTS, Promised, beginning, mending

pytestmark = pytest.mark.requirement("PROVE-02")

SEED = 20_261_124
SAMPLE = 160
"""Cases of the ordinary suite, of all the traces together."""
RANDOM_CUTS = {"birth": 40, "filling": 60, "mending": 60}
"""Beside the extremes, at each call, in the long form."""
SECOND_CUTS = 8
SECOND_PARTS = 2
"""Disks after a first cut on which the mending itself is cut, in each part of the long form."""


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    """One recording of each script."""
    place = tmp_path_factory.mktemp("traces")
    return {
        name: recorded(name, script, beginning(name, place), Promised()) for name, script in SCRIPTS.items()
    }


def second_trace(trace: Trace, case: Case) -> Trace:
    """The recording of opening what a cut left."""
    return recorded(f"{trace.name} after {case.place}", mending, case.files, trace.history[case.said])


def test_the_recordings_hold_every_kind_of_file(traces: dict[str, Trace]) -> None:
    names = set().union(*(trace.history[-1].acknowledged for trace in traces.values()))
    assert len(names) > 60
    synced = sum(isinstance(one, Sync | SyncNames) for trace in traces.values() for one in trace.operations)
    assert synced > 100
    assert all(trace.history[-1].notes for trace in traces.values())


def test_a_sample_of_power_cuts_breaks_no_promise(traces: dict[str, Trace]) -> None:
    chance = random.Random(SEED)
    every = [(trace, case) for trace in traces.values() for case in cases(trace, chance, random_cuts=2)]
    chosen = chance.sample(every, SAMPLE)
    for trace, case in chosen:
        require_survived(trace, case)
    print(f"{len(chosen)} of {len(every)} disks after a power cut")


def test_a_cut_while_a_cut_is_mended_breaks_no_promise(traces: dict[str, Trace]) -> None:
    chance = random.Random(SEED + 1)
    first = chance.choice(list(cases(traces["birth"], chance, random_cuts=1)))
    second = second_trace(traces["birth"], first)
    chosen = chance.sample(list(cases(second, chance, random_cuts=1)), 24)
    for case in chosen:
        require_survived(second, case)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_power_cut_breaks_no_promise(traces: dict[str, Trace], name: str) -> None:
    count = 0
    for case in cases(traces[name], random.Random(SEED + 2), random_cuts=RANDOM_CUTS[name]):
        require_survived(traces[name], case)
        count += 1
    print(f"{name}: {count} disks after a power cut")
    assert count > 300


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("part", range(SECOND_PARTS))
def test_no_second_cut_breaks_a_promise(traces: dict[str, Trace], name: str, part: int) -> None:
    chance, count = random.Random(SEED + 3 + part), 0
    for first in chance.sample(list(cases(traces[name], chance, random_cuts=1)), SECOND_CUTS):
        second = second_trace(traces[name], first)
        for case in cases(second, chance, random_cuts=1):
            require_survived(second, case)
            count += 1
    print(f"{name}: {count} disks after two power cuts")
    assert count > 300


def first_broken(trace: Trace) -> str:
    """What the first case says that breaks a promise, or nothing."""
    try:
        for case in cases(trace, random.Random(SEED + 4), random_cuts=0):
            require_survived(trace, case)
    except PromiseBroken as broken:
        return str(broken)
    return ""


@pytest.mark.parametrize("left_out", [Sync, SyncNames])
def test_the_harness_notices_syncs_that_were_left_out(
    tmp_path: Path, left_out: type[Sync] | type[SyncNames]
) -> None:
    """Whoever does not sync is found out: this is what the cases above stand on."""
    before = beginning("birth", tmp_path)
    trace = recorded("birth", SCRIPTS["birth"], before, Promised())
    kept = tuple(one for one in trace.operations if not isinstance(one, left_out))
    unsynced = Trace(name="unsynced", before=before, operations=kept, history=trace.history)
    assert first_broken(unsynced)
