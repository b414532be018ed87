"""`./dev sim SEED`: one simulated run of the walk in memory, told as it happens: who tries what, what is held and
lifted, when the process dies. Odd seeds have holds. The same seed is the same run. Exit code 1 when a law does not
hold, and it says which.
"""

from __future__ import annotations

import asyncio
import sys

from answerable.testing.simulation import Simulation

LIVES, STEPS = 3, 30
"""As the tests have them, so that a seed that failed there fails here."""


def main() -> int:
    """Returns the exit code."""
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        print("usage: ./dev sim SEED, with a number such as 4711", file=sys.stderr)
        return 2
    simulation = Simulation(int(sys.argv[1]))
    simulation.narrate = print
    try:
        report = asyncio.run(simulation.run(lives=LIVES, steps=STEPS))
    except AssertionError as broken:
        print(broken, file=sys.stderr)
        return 1
    print(
        f"seed {report.seed}: {report.lives} lives, {report.crashes} crashes, {report.attempts} attempts, "
        f"{report.effects} effects, {report.held} holds placed, {report.lifted} lifted, {report.cut} calls cut, "
        f"{len(report.struck)} faults; no law broken"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
