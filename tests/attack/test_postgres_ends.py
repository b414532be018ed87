"""What a lease on PostgreSQL could leave behind or outlive, and where its secret could be seen, on a real server."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import anyio
import asyncpg
import pytest

from answerable.adapters.postgres_roles.connections import LOST
from answerable.adapters.postgres_roles.quoting import quoted_name, quoted_text
from answerable.core.canonical import JSONValue
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import account_of, lease_name
from answerable.errors import AnswerableError, Refused, Unavailable
from tests.probes.waiting import until
from tests.stand_ins.postgres_server import BROKER_PASSWORD, OWNER_PASSWORD
from tests.worlds.postgres import (
    PostgresBench,
    WallClock,
    bench_on,
    built,
    furnished_server,
    order,
    scope,
    table,
)

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
ENDED = (*LOST, asyncpg.PostgresError)
"""What a client sees whose connection the server cut."""
MESSAGES = "public.support_messages"
CASE: JSONValue = {"column": "case_id", "equals": "case-1"}

WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def server():
    with furnished_server() as running:
        yield running


@pytest.fixture
async def bench(server):
    async with bench_on(server) as opened:
        yield opened


@pytest.mark.requirement("PG-08")
async def test_trap_neither_an_end_in_time_nor_nologin_touches_an_open_session_and_revoking_does(
    bench, server
):
    credential = await bench.issuer.issue(order(ttl_ms=700))
    connection = await bench.connect(credential)
    await bench.passed(credential)
    assert not await bench.use(credential)
    assert len(await connection.fetch("SELECT id FROM public.support_messages")) == 10
    await server.run(f"ALTER ROLE {quoted_name(credential.account)} NOLOGIN;")
    assert len(await connection.fetch("SELECT id FROM public.support_messages")) == 10
    with anyio.fail_after(30):
        revoked = await bench.issuer.revoke(credential.lease)
    assert (revoked.sessions_cut, revoked.left) == (1, ())
    with pytest.raises(ENDED):
        await connection.fetch("SELECT 1")
    connection.terminate()


@pytest.mark.requirement("PG-08")
async def test_trap_a_role_that_owns_things_in_several_databases_goes_with_them(bench, server):
    credential = await bench.issuer.issue(order())
    for database in ("staging", "postgres"):
        assert await bench.lets(credential, "SELECT lo_from_bytea(0, 'kept')", database)
    assert (await bench.issuer.revoke(credential.lease)).is_gone
    assert not await bench.issuer.live()
    for database in ("staging", "postgres"):
        assert (await server.run("SELECT count(*) FROM pg_largeobject_metadata", database))[0][0] == 0


@pytest.mark.requirement("PG-08")
async def test_trap_what_others_made_depend_on_it_is_not_dropped_and_the_lease_is_not_called_gone(server):
    await server.run("GRANT CREATE ON SCHEMA public TO PUBLIC;", "prod")
    bench = PostgresBench(server, built(server, may_public_create=True))
    try:
        credential = await bench.issuer.issue(order())
        assert await bench.lets(
            credential, "CREATE TABLE public.mine (id int); GRANT SELECT ON public.mine TO PUBLIC"
        )
        await server.run("CREATE VIEW leaning AS SELECT * FROM mine;", "prod")
        with pytest.raises(Unavailable) as caught:
            await bench.issuer.revoke(credential.lease)
        assert "nothing of it works any more, but its account is still at the server" in caught.value.message
        assert not await bench.use(credential)
        assert await bench.issuer.live() == (credential.lease,)
        await server.run("DROP VIEW leaning;", "prod")
        assert (await bench.issuer.revoke(credential.lease)).is_gone
    finally:
        await server.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC;", "prod")
        await bench.issuer.close()


@pytest.mark.requirement("PG-08")
async def test_a_table_that_others_hold_keeps_the_account_and_not_its_use(server):
    bench = PostgresBench(server, built(server, lock_seconds_max=0.02))
    credential = await bench.issuer.issue(order())
    holder = await server.owner("prod")
    await holder.execute("BEGIN; SELECT count(*) FROM support_messages")
    is_working = await bench.hold_open(credential)
    with pytest.raises(Unavailable) as caught:
        await bench.issuer.revoke(credential.lease)
    assert "lock" in caught.value.message
    assert not await is_working()
    assert not await bench.use(credential)
    # Nor is a rule about its rows made meanwhile; leases on other tables are.
    with pytest.raises(Unavailable) as caught:
        await bench.issuer.issue(order(2))
    assert caught.value.effect == "none"
    other = await bench.issuer.issue(order(3, of=scope(tables=[table("public.customers", "select")])))
    await holder.execute("COMMIT")
    await holder.close()
    for name in (credential.lease, other.lease, order(2).name):
        assert (await bench.issuer.revoke(name)).is_gone
    assert not await bench.issuer.live()
    await bench.issuer.close()


@pytest.mark.requirement("PG-08")
async def test_a_session_that_was_on_its_way_in_does_not_outlive_its_role(bench, monkeypatch):
    """Its first look for sessions misses one, as it does while one is between the check of the login and the list."""
    credential = await bench.issuer.issue(order())
    connection = await bench.connect(credential)
    looked = []
    really = type(bench.issuer._ending)._sessions_ended

    async def missing_it_first(self, role):
        looked.append(role)
        return 0 if len(looked) == 1 else await really(self, role)

    monkeypatch.setattr(type(bench.issuer._ending), "_sessions_ended", missing_it_first)
    assert (await bench.issuer.revoke(credential.lease)).sessions_cut == 1
    with pytest.raises(ENDED):
        await connection.fetch("SELECT 1")
    connection.terminate()


@pytest.mark.requirement("PG-08")
async def test_two_brokers_at_once_on_the_same_tables_make_and_end_all_of_theirs(server):
    brokers = [PostgresBench(server, built(server)) for _ in range(2)]

    async def both(bench, number):
        credential = await bench.issuer.issue(order(number))
        assert await bench.use(credential)
        assert (await bench.issuer.revoke(credential.lease)).is_gone

    async with anyio.create_task_group() as tasks:
        for number in range(24):
            tasks.start_soon(both, brokers[number % 2], 100 + number)
    assert not await brokers[0].issuer.live()
    for bench in brokers:
        await bench.issuer.close()


@pytest.mark.requirement("PG-08")
async def test_one_lease_that_is_revoked_many_times_at_once_is_gone_for_each(bench):
    credential = await bench.issuer.issue(order())
    answers = []

    async def revoke():
        answers.append((await bench.issuer.revoke(credential.lease)).is_gone)

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(revoke)
    assert answers == [True] * 8
    assert not await bench.issuer.live()


@pytest.mark.requirement("PG-08")
@pytest.mark.parametrize("ends", ["COMMIT", "ROLLBACK"])
async def test_revoking_waits_for_an_issue_that_is_under_way(bench, server, ends):
    """As a broker would leave it that was killed between its statements and their COMMIT: since PostgreSQL 16 whoever
    makes a role may end it by being its administrator."""
    account = account_of(order().name)
    other = await server.owner("prod")
    await other.execute(f"BEGIN; CREATE ROLE {account}; GRANT {account} TO answerable WITH ADMIN OPTION")
    answers = []

    async def revoke():
        answers.append(await bench.issuer.revoke(order().name))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revoke)
        await until(lambda: server.run(WAITING))
        assert not answers
        await other.execute(ends)
    await other.close()
    assert answers[0].is_gone
    assert not await server.run(f"SELECT 1 FROM pg_roles WHERE rolname = '{account}'")


MINTER = """
import anyio, sys
from tests.stand_ins.postgres_server import PostgresServer
from tests.worlds.postgres import built, order
class There:
    port = int(sys.argv[1])
async def main():
    issuer = built(There()).issuer
    async def one(number):
        await issuer.issue(order(number))
        print(number, flush=True)
    async with anyio.create_task_group() as tasks:
        for number in range(1, 33):
            tasks.start_soon(one, number)
    await anyio.sleep(60)
print("ready", flush=True)
anyio.run(main)
"""


@pytest.mark.requirement("PG-08")
@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.1])
async def test_whatever_a_killed_broker_left_goes_by_its_name(bench, server, seconds):
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MINTER, str(server.port),
        stdout=asyncio.subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": f"{root}:{root}/src:{root}/tools"},
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    await process.stdout.readline()
    await asyncio.sleep(seconds)
    process.kill()
    await process.wait()
    names = {order(number).name for number in range(1, 33)}
    assert set(await bench.issuer.live()) <= names
    for name in names:
        assert (await bench.issuer.revoke(name)).is_gone
    assert not await bench.issuer.live()
    roles = await server.run(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans%' AND rolname <> 'answerable'"
    )
    assert not roles
    assert not await server.run("SELECT polname FROM pg_policy WHERE polname LIKE 'ans%'", "prod")


@pytest.mark.requirement("PG-08")
async def test_roles_of_others_are_neither_named_nor_taken(bench, server):
    await server.run("CREATE ROLE ans_report LOGIN; CREATE ROLE ans_ LOGIN; CREATE ROLE answers LOGIN;")
    assert not await bench.issuer.live()
    taken = order(5)
    await server.run(f"CREATE ROLE {account_of(taken.name)} LOGIN;")
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(taken)
    assert caught.value.code == "lease.taken"
    assert (await server.run(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{account_of(taken.name)}'"))[
        0
    ][0]
    await server.run(
        f"DROP ROLE {account_of(taken.name)}; DROP ROLE ans_report; DROP ROLE ans_; DROP ROLE answers;"
    )


@pytest.mark.requirement("PG-09")
@pytest.mark.parametrize("off_hours", [-5, 5])
async def test_a_clock_that_is_off_changes_no_end(server, off_hours):
    clock = WallClock(off_hours * 3_600_000)
    bench = PostgresBench(server, built(server, clock=clock))
    wanted = order()
    moved = type(wanted)(name=wanted.name, scope=wanted.scope, expires_at=UnixMillis(clock.now() + 60_000))
    credential = await bench.issuer.issue(moved)
    left = "SELECT extract(epoch FROM rolvaliduntil - now()) FROM pg_roles WHERE rolname LIKE 'ans\\_%'"
    assert 50 < (await server.run(left))[0][0] <= 60
    assert await bench.use(credential)
    await bench.issuer.renew(credential.lease, UnixMillis(clock.now() + 30_000))
    assert 50 < (await server.run(left))[0][0] <= 60, "never shorter"
    await bench.issuer.renew(credential.lease, UnixMillis(clock.now() + 120_000))
    assert 110 < (await server.run(left))[0][0] <= 120
    await bench.issuer.revoke(credential.lease)
    late = type(wanted)(
        name=lease_name(bytes(15) + b"\x08"), scope=wanted.scope, expires_at=UnixMillis(clock.now() - 1)
    )
    assert not await bench.use(await bench.issuer.issue(late))
    await bench.issuer.revoke(late.name)
    await bench.issuer.close()


def process_commands():
    return [
        path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    ]


@pytest.mark.requirement("PG-09")
async def test_no_secret_is_in_any_log_error_result_or_list_of_processes(bench, server):
    credential = await bench.issuer.issue(order())
    secret = credential.secret.reveal("password")
    told = [repr(credential), str(credential.secret), *await bench.issuer.granted(credential.lease)]
    async with bench.target.connected(credential) as opened:
        for sql in (
            "SELECT id FROM support_messages",
            "SELECT * FROM pg_authid",
            "SELEKT",
            "SELECT 1; SELECT 2",
        ):
            try:
                done = await opened.perform("query", {"sql": sql}, tag=TAG, seconds_max=5)
                told.append(str(done))
            except AnswerableError as error:
                told.append(f"{error!r} {error.__cause__!r}")
        told += process_commands()
    wrong = PostgresBench(server, built(server, account="nobody_here"))
    for attempt in (wrong.issuer.issue(order(2)), wrong.issuer.revoke(order(2).name), wrong.issuer.live()):
        with pytest.raises(Unavailable) as caught:
            await attempt
        told.append(f"{caught.value!r} {caught.value.__cause__!r}")
    await bench.issuer.revoke(credential.lease)
    told.append(server.log.read_text())
    assert "CREATE ROLE" in told[-1]
    for text in told:
        for hidden in (secret, BROKER_PASSWORD, "canary-token-93b1"):
            assert hidden not in text.replace(f"PASSWORD '{BROKER_PASSWORD}'", "").replace(
                "VALUES (1, 'canary-token-93b1')", ""
            )
    assert OWNER_PASSWORD not in told[-1]


@pytest.mark.requirement("PG-09")
async def test_the_server_asks_for_the_password_by_scram(bench, server):
    credential = await bench.issuer.issue(order())
    stored = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{credential.account}'"
    assert (await server.run(stored))[0][0].startswith("SCRAM-SHA-256$4096:")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            host="127.0.0.1", port=server.port, user=credential.account, password="x" * 64, database="prod"
        )


@pytest.mark.requirement("PG-10")
async def test_names_and_texts_are_one_token_whatever_is_in_them(server):
    chance = random.Random(7)
    alphabet = "'\"\\$;-/*%_ \n\t\r{}()aé☃\U0001f512E\x01\x7f"
    connection = await server.owner()
    for _ in range(300):
        text = "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 15)))
        assert await connection.fetchval(f"SELECT {quoted_text(text)}") == text
        statement = await connection.prepare(f"SELECT 1 AS {quoted_name(text)}")
        assert [one.name for one in statement.get_attributes()] == [text]
    await connection.close()
    for text in ("", "x" * 64, "é" * 32, "a\0"):
        with pytest.raises(ValueError):
            quoted_name(text)
    with pytest.raises(ValueError):
        quoted_text("a\0")
