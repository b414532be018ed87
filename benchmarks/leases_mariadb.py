"""Issuing and revoking MariaDB accounts, beside the bare cost of the same statements by the same driver.

`./dev bench leases_mariadb [--json] [--leases N]`. A server of its own is started on the disk of the temporary
folder.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import aiomysql  # noqa: E402
from lease_course import in_turns, run  # noqa: E402

from tests.stand_ins.mariadb_server import BROKER_PASSWORD, MariadbServer, own_mariadb  # noqa: E402
from tests.worlds.mariadb import MariadbBench, built, furnish, order  # noqa: E402

AT_ONCE: Final = 100
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


async def one_after_another(server: MariadbServer, count: int) -> dict[str, object]:
    bare = await aiomysql.connect(
        host="127.0.0.1", port=server.port, user="answerable", password=BROKER_PASSWORD, autocommit=True
    )
    cursor = await bare.cursor()
    bench = MariadbBench(server, built(server))

    async def run_bare(statements: tuple[str, ...]) -> None:
        for statement in statements:
            await cursor.execute(statement)

    figures = await in_turns(
        count,
        issue=(lambda _: run_bare(ISSUE), lambda number: bench.issuer.issue(order(number + 1))),
        revoke=(lambda _: run_bare(REVOKE), lambda number: bench.issuer.revoke(order(number + 1).name)),
    )
    bare.close()
    await bench.issuer.close()
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


async def measured(count: int) -> dict[str, Any]:
    with ExitStack() as ends:
        # It asks its server by a loop of its own.
        server = await asyncio.to_thread(ends.enter_context, own_mariadb())
        await furnish(server)
        return {
            "server": (await server.run("SELECT VERSION()"))[0][0],
            "grants": await one_after_another(server, count),
            "at_once": await all_at_once(server),
        }


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
