"""Every record in the audit file of a real MariaDB is told from which step it is."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
from collections.abc import Iterator

import aiomysql
import pytest

from tests.stand_ins.mariadb_server import MariadbServer, own_mariadb
from tests.worlds.attributed import compared_file
from tests.worlds.brokered import capability, desk_on
from tests.worlds.mariadb import furnish
from tests.worlds.sql import MARIADB
from tests.worlds.sql_bench import table
from tests.worlds.up import until

pytestmark = pytest.mark.anyio

AUDITED = (
    "INSTALL SONAME 'server_audit'",
    "SET GLOBAL server_audit_file_path = 'audit.log'",
    "SET GLOBAL server_audit_events = 'CONNECT,QUERY'",
    "SET GLOBAL server_audit_logging = ON",
)


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    with own_mariadb() as running:
        asyncio.run(furnish(running))
        asyncio.run(running.run(*AUDITED))
        yield running


async def one_query(server: MariadbServer, user: str, password: str, sql: str) -> None:
    connection = await aiomysql.connect(host="127.0.0.1", port=server.port, user=user, password=password)
    cursor = await connection.cursor()
    await cursor.execute(sql)
    connection.close()


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-06", "ATTRIBUTE-12")
async def test_every_record_is_told_from_the_step_that_wrote_it(tmp_path, server):
    cases = (
        capability("case.read", "query", "read", texts=["sql"], database="shop", tables=[table("cases", "select")]),
        capability(
            "case.write", "execute", "write", texts=["sql"], window="task", database="shop",
            tables=[table("cases", "select", "update")],
        ),
    )  # fmt: skip
    target = f'kind = "mariadb"\nport = {server.port}\npassword = "file:secret"\ndatabases = ["shop"]\n'
    secrets = {"secret": MARIADB.broker_password}
    log = server.folder / "state/audit.log"
    async with desk_on(tmp_path, target=target, secrets=secrets, capabilities=cases) as desk:
        key = await desk.agent()
        ours = {}
        for number in range(4):
            tool, sql = [
                ("query", "SELECT id FROM cases"),
                ("execute", "UPDATE cases SET body = 'x' WHERE id = 1"),
            ][number % 2]
            said = await desk.does_call(key, tool, sql=f"{sql} /* ours {number} */")
            assert not said["result"]["isError"], said["text"]
            ours[f"ours {number}".encode().hex()] = desk.action_of(said)
        (lease,) = await desk.leases()
        host = (await server.run(f"SELECT Host FROM mysql.user WHERE User = '{lease['account']}'"))[0][0]
        await server.run(f"ALTER USER '{lease['account']}'@'{host}' IDENTIFIED BY 'known'")
        await one_query(server, lease["account"], "known", "SELECT 'theft'")
        await server.run("CREATE USER person IDENTIFIED BY 'known'")
        await one_query(server, "person", "known", "SELECT 'a person'")
        await until(lambda: "a person" in log.read_text(errors="replace"), "the log")
        await desk.ends_task()
        await desk.home.stop(signal.SIGTERM)
        words = ("attribute", str(log), "--kind", "mariadb", "--zone", "+00:00")
        told = await asyncio.to_thread(
            desk.home.finished, *words, "--ledger", str(desk.home.data / "ledger"), "--csv"
        )
        compared, steps = compared_file("mariadb", log, desk.home.data)
    assert (compared.content.compared(), compared.content.unsaid(steps)) == (4, ())
    assert told.returncode == 5, told.stdout + told.stderr
    found = {int(row["line"]): row for row in csv.DictReader(io.StringIO(told.stdout)) if row["line"]}
    thief, seen = "", set()
    for number, text in enumerate(log.read_text(errors="replace").splitlines(), 1):
        account, connection = text.split(",")[2], text.split(",")[4]
        if not account.startswith("ans_"):
            assert number not in found, text
            continue
        row = found[number]
        if "theft" in text:
            thief = connection
        marks = [mark for mark in ours if mark in text.lower() or bytes.fromhex(mark).decode() in text]
        for mark in marks:
            assert (row["verdict"], row["action"], row["grade"]) == ("ours", ours[mark], "B"), text
            seen.add(mark)
    assert seen == {*ours}
    bypasses = {number for number, row in found.items() if row["verdict"] == "bypass"}
    lines = log.read_text(errors="replace").splitlines()
    assert bypasses == {
        number
        for number, text in enumerate(lines, 1)
        if text.split(",")[4] == thief and text.split(",")[2] != "root"
    }
    assert {row["verdict"] for row in found.values()} == {"ours", "bypass"}
