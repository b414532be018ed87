"""Issuing and revoking at every kind of target whose server is on this machine: `./dev bench leases_all`.

Runs each of the benchmarks `leases_KIND` in a process of its own, one after another, and shows their ratios in one
table; what is missing is named with what to install. `./dev bench leases` is what keeping leases costs at no target.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from lease_course import NOT_INSTALLED, RATIO_AIM

HERE: Final = Path(__file__).resolve().parent
RATIO: Final = "_ratio_p50"


def kinds() -> list[str]:
    """Those that have a benchmark."""
    names = (file.stem.removeprefix("leases_") for file in HERE.glob("leases_*.py"))
    return sorted(name for name in names if name != "all")


def known(kind: str) -> str:
    """A kind that has a benchmark."""
    if kind not in kinds():
        raise argparse.ArgumentTypeError(f"`{kind}` is none of {', '.join(kinds())}")
    return kind


def of_kind(kind: str, leases: int) -> tuple[dict[str, Any], str]:
    """Its figures; or why there are none."""
    line = [sys.executable, str(HERE / f"leases_{kind}.py"), "--json", "--leases", str(leases)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode == NOT_INSTALLED:
        return {}, done.stderr.strip().splitlines()[-1]
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout)
    return found, ""


def rows(kind: str, found: dict[str, Any]) -> list[str]:
    """One line for each step of each group of figures."""
    lines = []
    for group, figures in found.items():
        for name in figures if isinstance(figures, dict) else ():
            if name.endswith(RATIO):
                step = name.removesuffix(RATIO)
                ours, bare = figures[step], figures[f"bare_{step}"]
                lines.append(
                    f"{kind:<9} {group:<24} {step:<7} {ours['p50_ms']:>10.3f} {ours['p99_ms']:>10.3f} "
                    f"{ours['per_second']:>9.1f} {bare['p50_ms']:>10.3f} {bare['p99_ms']:>10.3f} {figures[name]:>6.2f}"
                )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "kind", nargs="*", type=known, metavar="KIND", help=f"of these alone: {', '.join(kinds())}"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--leases", type=int, default=200, help="of each kind, one after another (200)")
    arguments = parser.parse_args()
    everything: dict[str, Any] = {}
    if not arguments.json:
        print(
            f"{'kind':<9} {'of':<24} {'step':<7} {'p50 ms':>10} {'p99 ms':>10} {'a second':>9} {'bare p50':>10} "
            f"{'bare p99':>10} {'ratio':>6}   (aim: at most {RATIO_AIM:g})"
        )
    for kind in arguments.kind or kinds():
        found, missing = of_kind(kind, arguments.leases)
        everything[kind] = found or {"not_measured": missing}
        if not arguments.json:
            print("\n".join(rows(kind, found)) if found else f"{kind:<9} {missing}", flush=True)
    if arguments.json:
        print(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
