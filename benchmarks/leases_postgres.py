"""Issuing and revoking PostgreSQL roles, beside the bare cost of the same statements by the same driver.

`./dev bench leases_postgres [--json] [--leases N]`. A server of its own is started, with the settings that
PostgreSQL ships, on the disk of the temporary folder.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import asyncpg  # noqa: E402
from lease_course import in_turns, run  # noqa: E402

from answerable.core.lease.credential import Credential  # noqa: E402
from tests.stand_ins.postgres_server import BROKER_PASSWORD, PostgresServer, own_postgres  # noqa: E402
from tests.worlds.postgres import PostgresBench, built, furnish, order, scope  # noqa: E402
from tests.worlds.sql_bench import table  # noqa: E402

SHIPPED: Final = "listen_addresses = '127.0.0.1'\nmax_connections = 500\n"
AT_ONCE: Final = 200
CUT_SECONDS_AIM: Final = 5.0
PLAIN = scope(tables=[table("public.support_messages", "select", columns=["id", "body"])])


async def statements_of(server: PostgresServer, rows: bool) -> tuple[list[str], list[str]]:
    """What a role of this scope costs the server at least: the script that issuing sends, and the one that ends it."""
    from answerable.adapters.postgres_roles.catalog import FACTS, asked_relations, facts_of
    from answerable.adapters.postgres_roles.scope import PostgresScope, scope_of
    from answerable.adapters.postgres_roles.scram import scram_verifier
    from answerable.adapters.postgres_roles.statements import issue_script
    from answerable.targets.sql.scope import ScopeLimits

    limits = ScopeLimits(databases=frozenset({"prod"}), rows_max=1000, seconds_max=30)
    wanted = scope_of((scope() if rows else PLAIN).thaw(), limits)
    assert isinstance(wanted, PostgresScope)
    connection = await bare_connection(server)
    facts = facts_of(await connection.fetchval(FACTS, *asked_relations(wanted)))
    await connection.close()
    issue = issue_script(
        "ans_bare", wanted, facts, verifier=scram_verifier("x" * 64, bytes(16)),
        valid_until="2099-01-01", sessions_max=2,
    )  # fmt: skip
    # One command a statement, as whoever writes to the server by hand does.
    end = [
        "REVOKE ALL ON TABLE support_messages FROM ans_bare",
        "ALTER ROLE ans_bare NOLOGIN CONNECTION LIMIT 0",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ans_bare'",
        "BEGIN",
        "DROP OWNED BY ans_bare",
        "DROP ROLE ans_bare",
        "COMMIT",
    ]
    return [*issue.split(";\n"), "COMMIT"], end


async def bare_connection(server: PostgresServer) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=server.port, user="answerable", password=BROKER_PASSWORD, database="prod"
    )


async def one_after_another(server: PostgresServer, count: int, *, rows: bool) -> dict[str, object]:
    issue, end = await statements_of(server, rows)
    connection = await bare_connection(server)
    bench = PostgresBench(server, built(server))
    made: dict[int, Credential] = {}
    wanted = scope() if rows else PLAIN

    async def run_bare(statements: list[str]) -> None:
        for statement in statements:
            await connection.execute(statement)

    async def mint(number: int) -> None:
        made[number] = await bench.issuer.issue(order(number + 1, of=wanted))

    figures = await in_turns(
        count,
        issue=(lambda _: run_bare(issue), mint),
        revoke=(lambda _: run_bare(end), lambda number: bench.issuer.revoke(made[number].lease)),
    )
    await connection.close()
    await bench.issuer.close()
    return figures


async def all_at_once(server: PostgresServer) -> dict[str, object]:
    """Real roles with one open session each, cut at once."""
    bench = PostgresBench(server, built(server))
    started = time.perf_counter()
    made = await asyncio.gather(*(bench.issuer.issue(order(n + 1, of=PLAIN)) for n in range(AT_ONCE)))
    issued = time.perf_counter() - started
    sessions = [await bench.connect(credential) for credential in made]
    started = time.perf_counter()
    ended = await asyncio.gather(*(bench.issuer.revoke(credential.lease) for credential in made))
    took = time.perf_counter() - started
    assert all(one.is_gone for one in ended)
    assert sum(one.sessions_cut for one in ended) == AT_ONCE
    assert not await bench.issuer.live()
    for session in sessions:
        session.terminate()
    await bench.issuer.close()
    return {
        "roles": AT_ONCE,
        "issue_seconds": round(issued, 2),
        "cut_seconds": round(took, 2),
        "aim_seconds": CUT_SECONDS_AIM,
    }


async def measured(count: int) -> dict[str, Any]:
    with own_postgres(SHIPPED) as server:
        await furnish(server)
        return {
            "server": (await server.run("SHOW server_version"))[0][0],
            "grants": await one_after_another(server, count, rows=False),
            "grants_and_rows": await one_after_another(server, count, rows=True),
            "at_once": await all_at_once(server),
        }


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
