"""`answerable up` with its witness on an empty data directory, at rest: its memory, and its share of a core.

Memory is counted in two ways. A process's own pages (anonymous) are nobody else's, and the system cannot drop them:
their sum is what both processes cost the machine. In PSS each page that several processes map counts by its share,
pages of libraries too; other Pythons on the machine share those, so that it is less on a busy machine. CPU and wakings
are those of all threads, as the scheduler counts them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from house import House, free_port, machine, until_open

SETTLED_SECONDS: Final = 20.0
SECONDS: Final = 60.0
QUICK_SECONDS: Final = 3.0
CORE_AIM_PERCENT: Final = 0.3
MEMORY_AIM_MB: Final = 120.0
KIB: Final = 1024
MEGABYTE: Final = 1_000_000
NANOSECONDS: Final = 1e9
SETTINGS: Final = """\
[gateway]
port = {port}
"""


def main() -> None:
    """Print the table, or with `--json` one object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="print one JSON object")
    options.add_argument("--quick", action="store_true", help="a few seconds: to see that it works")
    chosen = options.parse_args()
    rows = measured(*((QUICK_SECONDS,) * 2 if chosen.quick else (SETTLED_SECONDS, SECONDS)))
    if chosen.json:
        print(json.dumps({"bench": "at_rest", "machine": machine(), "rows": rows}))
        return
    print(machine())
    for row in rows:
        aim = f"   aim {row['aim']:g}" if row["aim"] is not None else ""
        print(f"{row['what']:<44} {row['value']:>9.3f} {row['unit']}{aim}")


def measured(settled: float, seconds: float) -> list[dict[str, Any]]:
    """Of the server and its witness, `settled` seconds after the start."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), SETTINGS.format(port=free_port()))
        with house.up() as server:
            until_open(house.data / "witness.sock", server.process)
            time.sleep(settled)
            server_id = server.process.pid
            (witness_id,) = children_of(server_id)
            found = {"server": server_id, "witness": witness_id}
            before = {name: ran(process) for name, process in found.items()}
            time.sleep(seconds)
            after = {name: ran(process) for name, process in found.items()}
            memory = {name: megabytes(process) for name, process in found.items()}
    rows = []
    for name in found:
        rows += [row(f"{name}, resident", memory[name]["Rss"], "MB")]
        rows += [row(f"{name}, its own pages", memory[name]["Anonymous"], "MB")]
        rows += [row(f"{name}, its share of all pages (PSS)", memory[name]["Pss"], "MB")]
    for what, part in (("own pages", "Anonymous"), ("PSS", "Pss")):
        rows += [row(f"both ({what})", sum(one[part] for one in memory.values()), "MB", MEMORY_AIM_MB)]
    for name in found:
        (cpu, woken), (cpu_then, woken_then) = after[name], before[name]
        aim = CORE_AIM_PERCENT if name == "server" else None
        rows += [row(f"{name}, of a core", (cpu - cpu_then) / seconds * 100, "%", aim)]
        rows += [row(f"{name}, threads woken", (woken - woken_then) / seconds, "a second")]
    return rows


def row(what: str, value: float, unit: str, aim: float | None = None) -> dict[str, Any]:
    """One line of the table."""
    return {"what": what, "value": value, "unit": unit, "aim": aim}


def children_of(process: int) -> list[int]:
    """Its child processes."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in found]


def ran(process: int) -> tuple[float, int]:
    """CPU seconds of all its threads, and how often one was given a core. Of threads that live."""
    cpu, turns = 0.0, 0
    for one in Path(f"/proc/{process}/task").iterdir():
        on_core, _, given = (one / "schedstat").read_text().split()
        cpu, turns = cpu + int(on_core) / NANOSECONDS, turns + int(given)
    return cpu, turns


def megabytes(process: int) -> dict[str, float]:
    """What the kernel counts of its memory. Both processes forbid other processes to look, so this needs root."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {(words := line.split())[0].rstrip(":"): int(words[1]) * KIB / MEGABYTE for line in lines}


if __name__ == "__main__":
    main()
