"""Plays a ledger's scripts under every fault of every file call, in a process of its own: a program of the fault tests.

Prints a JSON object for each case whose promise broke, and at last one with the counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

from tests.probes.crash_cases import MEMORY
from tests.system.syscall_faults import cases, played, sampled, tried, warmed_up
from tests.system.syscall_trace import TRACED
from tests.worlds.ledger_script import SCRIPTS, beginning, laid_out


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--script", choices=SCRIPTS, required=True)
    parser.add_argument("--commit", choices=("inline", "thread"), default="inline")
    parser.add_argument("--sample", type=int, default=0, help="so many cases instead of all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--trace", type=Path, help="play it without a fault and write this trace")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        scratch = Path(place)
        warmed_up(scratch)
        if given.trace is not None:
            laid_out(beginning(given.script, scratch), scratch / "log")
            done = played(given.script, given.commit, scratch / "log", ["-o", str(given.trace), *TRACED])
            print(json.dumps({"ended": done.ended, "acknowledged": len(done.promised.acknowledged)}))
            return
        every = list(cases(given.script, given.commit, scratch))[given.part :: given.parts]
        ends: Counter[str] = Counter()
        faults: Counter[str] = Counter()
        fired = broken = 0
        for case in sampled(every, given.sample, given.seed):
            outcome = tried(case, scratch)
            ends[outcome.ended] += 1
            faults[case.fault] += 1
            fired += outcome.fired
            if outcome.broken:
                broken += 1
                print(json.dumps({"case": case._asdict(), "ended": outcome.ended, "broken": outcome.broken}))
        summary = {"cases": ends.total(), "fired": fired, "broken": broken, "ends": ends, "faults": faults}
        print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
