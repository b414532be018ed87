"""Every file call of a writer, in turn, fails, is interrupted, ends short or kills it; and syncs are counted.

What is left is judged by another process: a stranger who kept every signed statement that the writer had made, and then
a new writer. The kernel makes the faults, through strace; only short writes are made by the writer itself, which hands
the kernel a part of the bytes (tests/system/syscall_faults.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.probes.loud_skips import not_proven, skip_loudly
from tests.system.syscall_faults import STRACE
from tests.system.syscall_trace import read_order

ROOT = Path(__file__).parents[2]
LAB = ROOT / "tests/system/ledger_fault_lab.py"
SAMPLES = {
    ("birth", "inline"): 24,
    ("birth", "thread"): 16,
    ("filling", "inline"): 14,
    ("mending", "inline"): 10,
}
PARTS = {
    ("birth", "inline"): 6,
    ("birth", "thread"): 3,
    ("filling", "inline"): 5,
    ("filling", "thread"): 2,
    ("mending", "inline"): 3,
    ("mending", "thread"): 1,
}
"""So that no part takes much more than a minute."""


@pytest.fixture(scope="module", autouse=True)
def strace() -> str:
    """The tracer, or a loud skip where it is absent or not allowed to trace."""
    if STRACE is None:
        skip_loudly("strace", "apt-get install strace", name="strace")
    trial = subprocess.run([STRACE, "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    if trial.returncode != 0:
        not_proven("strace may not trace here: failing system calls are NOT PROVEN", name="tracing")
    return STRACE


def lab(*arguments: str) -> list[dict[str, Any]]:
    """What the program found, a line each; the last is its summary."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        [sys.executable, str(LAB), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def require_none_broken(found: list[dict[str, Any]], name: str) -> None:
    """Say how many cases there were, and that all promises held."""
    *broken, summary = found
    print(f"{name}: {summary}")
    assert not broken, "\n".join(f"{one['case']} ended {one['ended']}: {one['broken']}" for one in broken)
    # A fault that befalls nothing proves nothing. Threads do not make quite the same calls each time.
    assert summary["fired"] >= min(0.98 * summary["cases"], summary["cases"] - 1) > 0


@pytest.mark.requirement("PROVE-01")
@pytest.mark.parametrize(("script", "commit"), SAMPLES)
def test_a_sample_of_failing_calls_breaks_no_promise(script: str, commit: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    sample = str(SAMPLES[script, commit])
    found = lab("--script", script, "--commit", commit, "--sample", sample, "--seed", str(seed))
    require_none_broken(found, f"{script} {commit} seed {seed}")


@pytest.mark.slow
@pytest.mark.requirement("PROVE-01")
@pytest.mark.parametrize(
    ("script", "commit", "part"), [(*which, part) for which, parts in PARTS.items() for part in range(parts)]
)
def test_every_failing_call_breaks_no_promise(script: str, commit: str, part: int) -> None:
    parts = str(PARTS[script, commit])
    found = lab("--script", script, "--commit", commit, "--part", str(part), "--parts", parts)
    require_none_broken(found, f"{script} {commit} part {part}")


@pytest.mark.requirement("PROVE-03")
@pytest.mark.parametrize("commit", ["inline", "thread"])
@pytest.mark.parametrize("script", ["birth", "filling"])
def test_no_acknowledgement_comes_before_the_sync_of_its_batch(
    tmp_path: Path, script: str, commit: str
) -> None:
    trace = tmp_path / "trace"
    (summary,) = lab("--script", script, "--commit", commit, "--trace", str(trace))
    order = read_order(trace)
    shutil.rmtree(tmp_path)
    assert summary["acknowledged"] == len(order.acknowledged) > 15
    assert not order.early, f"acknowledged before they were synced: {order.early}"
    assert order.syncs >= len(order.batches) > 2
    print(
        f"{len(order.acknowledged)} entries in {len(order.batches)} batches, {order.syncs} syncs of segments"
    )


@pytest.mark.requirement("PROVE-03")
def test_the_order_of_a_trace_is_really_judged(tmp_path: Path) -> None:
    """A trace whose syncs were taken out is found out."""
    trace = tmp_path / "trace"
    lab("--script", "birth", "--commit", "inline", "--trace", str(trace))
    lines = trace.read_text().splitlines(keepends=True)
    trace.write_text("".join(line for line in lines if "fdatasync" not in line))
    assert len(read_order(trace).early) > 15
