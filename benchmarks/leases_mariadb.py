"""Issuing and revoking MariaDB accounts, beside the bare cost of the same statements by the same driver.

`python benchmarks/leases_mariadb.py [--json] [--leases N]`. A server of its own is started on the disk of the temporary
folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import aiomysql  # noqa: E402

from tests.mariadb_server import BROKER_PASSWORD, MariadbServer, mariadb_server  # noqa: E402
from tests.mariadb_world import MariadbBench, built, furnish, order  # noqa: E402

AT_ONCE: Final = 100
RATIO_AIM: Final = 1.3
WHO: Final = "ans_bare@'127.0.0.1'"
ISSUE: Final = (
    f"CREATE USER {WHO} IDENTIFIED VIA mysql_native_password USING '*{'0' * 40}'"
    " WITH MAX_USER_CONNECTIONS 3 MAX_STATEMENT_TIME 5 ACCOUNT LOCK",
    f"GRANT SELECT (id, body) ON TABLE shop.cases TO {WHO}",
    f"ALTER USER {WHO} ACCOUNT UNLOCK",
)
REVOKE: Final = (
    f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {WHO}",
    f"ALTER USER {WHO} ACCOUNT LOCK",
    f"KILL USER {WHO}",
    f"DROP USER {WHO}",
)


def told(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
        "per_second": round(1000 * len(ordered) / sum(ordered), 1),
    }


async def one_after_another(server: MariadbServer, count: int) -> dict[str, object]:
    bare = await aiomysql.connect(
        host="127.0.0.1", port=server.port, user="answerable", password=BROKER_PASSWORD, autocommit=True
    )
    cursor = await bare.cursor()
    bench = MariadbBench(server, built(server))
    took: dict[str, list[float]] = {"bare_issue": [], "issue": [], "bare_revoke": [], "revoke": []}
    await bench.issuer.revoke((await bench.issuer.issue(order(count + 1))).lease)
    # In turns, so that whatever else the machine does meets both.
    for number in range(1, count + 1):
        for name, statements in (("bare_issue", ISSUE), ("bare_revoke", REVOKE)):
            started = time.perf_counter()
            for statement in statements:
                await cursor.execute(statement)
            took[name].append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        credential = await bench.issuer.issue(order(number))
        took["issue"].append((time.perf_counter() - started) * 1000)
        started = time.perf_counter()
        await bench.issuer.revoke(credential.lease)
        took["revoke"].append((time.perf_counter() - started) * 1000)
    bare.close()
    await bench.issuer.close()
    figures: dict[str, object] = {name: told(values) for name, values in took.items()}
    for step in ("issue", "revoke"):
        ratio = statistics.median(took[step]) / statistics.median(took[f"bare_{step}"])
        figures[f"{step}_ratio_p50"] = round(ratio, 2)
    return figures


async def all_at_once(server: MariadbServer) -> dict[str, object]:
    """Accounts with one open session each, cut at once."""
    bench = MariadbBench(server, built(server))
    started = time.perf_counter()
    made = await asyncio.gather(*(bench.issuer.issue(order(number + 1)) for number in range(AT_ONCE)))
    issued = time.perf_counter() - started
    sessions = [await bench.connect(credential) for credential in made]
    started = time.perf_counter()
    ended = await asyncio.gather(*(bench.issuer.revoke(credential.lease) for credential in made))
    took = time.perf_counter() - started
    assert sum(one.sessions_cut for one in ended) == AT_ONCE
    assert not await bench.issuer.live()
    for session in sessions:
        session.close()
    await bench.issuer.close()
    return {"accounts": AT_ONCE, "issue_seconds": round(issued, 2), "cut_seconds": round(took, 2)}


async def measured(count: int) -> dict[str, object]:
    with mariadb_server() as server:
        await furnish(server)
        found = {
            "server": (await server.run("SELECT VERSION()"))[0][0],
            "grants": await one_after_another(server, count),
            "at_once": await all_at_once(server),
            "ratio_aim": RATIO_AIM,
        }
    found["memory_max_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--leases", type=int, default=200)
    arguments = parser.parse_args()
    found = asyncio.run(measured(arguments.leases))
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        print(f"{name}: {json.dumps(figures)}")


if __name__ == "__main__":
    main()
