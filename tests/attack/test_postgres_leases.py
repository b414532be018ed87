"""What a lease on PostgreSQL could get hold of, leave behind or outlive, tried on a real server."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import anyio
import asyncpg
import pytest

from answerable.adapters.postgres_roles.quoting import quoted_name, quoted_text
from answerable.core.canonical import JSONValue
from answerable.core.identity.principal import UnixMillis
from answerable.core.lease.name import account_of, lease_name
from answerable.errors import AnswerableError, Refused, Unavailable
from tests.postgres_server import BROKER_PASSWORD, OWNER_PASSWORD, postgres_server
from tests.postgres_world import PostgresBench, WallClock, built, furnish, order, scope, table

pytestmark = [pytest.mark.anyio]

TAG = "aaaaaaaaaaaaaaaaaaaaaaaaae"
MESSAGES = "public.support_messages"
CASE: JSONValue = {"column": "case_id", "equals": "case-1"}


@pytest.fixture(scope="module")
def server():
    with postgres_server() as running:
        asyncio.run(furnish(running))
        yield running


@pytest.fixture
async def bench(server):
    bench = PostgresBench(server, built(server))
    yield bench
    for name in await bench.issuer.live():
        await bench.issuer.revoke(name)
    await bench.issuer.close()


async def refused_for(bench, odd):
    with pytest.raises(Refused) as caught:
        await bench.issuer.issue(order(of=odd))
    assert caught.value.code == "lease.scope"
    assert not await bench.issuer.live()
    return "; ".join(caught.value.reasons)


# Rows.


@pytest.mark.requirement("PG-06")
async def test_rows_of_another_case_are_neither_seen_changed_made_nor_moved(bench, server):
    whole = scope(
        tables=[table(MESSAGES, "select", "insert", "update", "delete", rows=CASE)],
        sequences=[f"{MESSAGES}_id_seq"],
    )
    credential = await bench.issuer.issue(order(of=whole))
    connection = await bench.connect(credential)
    assert {row[0] for row in await connection.fetch(f"SELECT case_id FROM {MESSAGES}")} == {"case-1"}
    assert (
        await connection.execute(f"UPDATE {MESSAGES} SET body = 'x' WHERE case_id = 'case-2'") == "UPDATE 0"
    )
    assert await connection.execute(f"DELETE FROM {MESSAGES} WHERE case_id <> 'case-1'") == "DELETE 0"
    for sql in (
        f"INSERT INTO {MESSAGES} (case_id, body) VALUES ('case-2', 'x')",
        f"UPDATE {MESSAGES} SET case_id = 'case-2'",
        f"INSERT INTO {MESSAGES} (id, case_id) VALUES (1, 'case-1') ON CONFLICT (id) DO UPDATE SET case_id = 'case-2'",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(sql)
    made = f"INSERT INTO {MESSAGES} (case_id, body) VALUES ('case-1', 'mine') RETURNING id"
    new = await connection.fetchval(made)
    assert await connection.execute(f"DELETE FROM {MESSAGES} WHERE id = {new}") == "DELETE 1"
    await connection.close()


@pytest.mark.requirement("PG-06")
async def test_an_update_without_where_stays_within_its_rows(bench, server):
    writing = scope(tables=[table(MESSAGES, "update", columns=["secret_note"], rows=CASE)])
    credential = await bench.issuer.issue(order(of=writing))
    connection = await bench.connect(credential)
    assert await connection.execute(f"UPDATE {MESSAGES} SET secret_note = 'seen'") == "UPDATE 10"
    await connection.close()


@pytest.mark.requirement("PG-06")
async def test_a_rule_about_rows_that_would_not_hold_is_refused_with_what_to_run(bench, server):
    rows: JSONValue = {"column": "id", "equals": "1"}
    off = await refused_for(bench, scope(tables=[table("public.customers", "select", rows=rows)]))
    assert 'ALTER TABLE "public"."customers" ENABLE ROW LEVEL SECURITY' in off
    view = await refused_for(bench, scope(tables=[table("public.open_messages", "select", rows=rows)]))
    assert "is a view" in view
    no_value = scope(tables=[table(MESSAGES, "select", rows={"column": "id", "equals": "x"})])
    assert "invalid input syntax" in await refused_for(bench, no_value)
    await server.run(
        "CREATE TABLE foreign_made (id int); ALTER TABLE foreign_made ENABLE ROW LEVEL SECURITY;", "prod"
    )
    theirs = await refused_for(bench, scope(tables=[table("public.foreign_made", "select", rows=rows)]))
    assert "made by its owner" in theirs
    await server.run("DROP TABLE foreign_made;", "prod")


@pytest.mark.requirement("PG-06")
async def test_partitions_and_children_are_reached_through_the_granted_table_alone(bench, server):
    await server.run(
        "SET ROLE shop; CREATE TABLE parted (case_id text, body text) PARTITION BY LIST (case_id);"
        "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN ('case-1');"
        "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN ('case-2');"
        "INSERT INTO parted VALUES ('case-1', 'a'), ('case-2', 'b'); ALTER TABLE parted ENABLE ROW LEVEL SECURITY;",
        "prod",
    )
    credential = await bench.issuer.issue(
        order(of=scope(tables=[table("public.parted", "select", rows=CASE)]))
    )
    connection = await bench.connect(credential)
    assert [row[0] for row in await connection.fetch("SELECT body FROM parted")] == ["a"]
    await connection.close()
    for part in ("parted_1", "parted_2"):
        assert not await bench.lets(credential, f"SELECT * FROM {part}")
    await bench.issuer.revoke(credential.lease)
    await server.run("DROP TABLE parted;", "prod")


# What everybody has, and what a lease could make of it.


@pytest.mark.requirement("PG-07")
async def test_where_everybody_may_create_nothing_is_granted_unless_the_settings_say_so(bench, server):
    await server.run("GRANT CREATE ON SCHEMA public TO PUBLIC;", "prod")
    try:
        assert "REVOKE CREATE ON SCHEMA" in await refused_for(bench, scope())
        lax = PostgresBench(server, built(server, may_public_create=True))
        credential = await lax.issuer.issue(order())
        assert "prod: PUBLIC: create in schema public" in await lax.issuer.granted(credential.lease)
        # A function of the lease must not become one of the broker or of anybody.
        assert await lax.lets(
            credential,
            "CREATE FUNCTION public.lower2(text) RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT $1';"
            "CREATE TABLE public.hoard AS SELECT body FROM public.support_messages",
        )
        assert (await lax.issuer.revoke(credential.lease)).is_gone
        left = (
            "SELECT proname FROM pg_proc WHERE proname = 'lower2'"
            " UNION SELECT relname FROM pg_class WHERE relname = 'hoard'"
        )
        assert not await server.run(left, "prod")
        await lax.issuer.close()
    finally:
        await server.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC;", "prod")


@pytest.mark.requirement("PG-07")
async def test_what_the_server_says_is_granted_names_every_right_and_what_everybody_has(bench, server):
    await server.run("CREATE TABLE open_to_all (id int); GRANT SELECT ON open_to_all TO PUBLIC;", "prod")
    credential = await bench.issuer.issue(order())
    granted = await bench.issuer.granted(credential.lease)
    assert "prod: select on public.support_messages (id, body)" in granted
    assert (
        "prod: rows limited on public.support_messages for select where (case_id = 'case-1'::text)" in granted
    )
    assert "prod: PUBLIC: connect to database staging" in granted
    assert "prod: PUBLIC: select on public.open_to_all" in granted
    ours = [line for line in granted if "PUBLIC" not in line]
    assert len(ours) == 3, ours
    await server.run("DROP TABLE open_to_all;", "prod")


@pytest.mark.requirement("PG-07")
async def test_what_the_brokers_own_account_may_not_grant_is_not_minted_silently(bench, server):
    """PostgreSQL answers a grant without grant option by a warning, and grants nothing."""
    await server.run("CREATE TABLE lent (id int, body text); GRANT SELECT ON lent TO answerable;", "prod")
    lent = scope(tables=[table("public.lent", "select")])
    assert "WITH GRANT OPTION" in await refused_for(bench, lent)
    await server.run("CREATE TABLE hidden (id int);", "prod")
    assert "may not grant" in await refused_for(bench, scope(tables=[table("public.hidden", "select")]))
    await server.run("GRANT SELECT ON lent TO answerable WITH GRANT OPTION;", "prod")
    credential = await bench.issuer.issue(order(of=lent))
    assert await bench.lets(credential, "SELECT * FROM public.lent")
    assert (await bench.issuer.revoke(credential.lease)).is_gone
    await server.run("DROP TABLE lent; DROP TABLE hidden;", "prod")


@pytest.mark.requirement("PG-07")
@pytest.mark.parametrize(
    ("odd", "wanted"),
    [
        (table("public.nowhere", "select"), "no table"),
        (table(MESSAGES, "select", columns=["nothing"]), "no column"),
        (table("pg_catalog.pg_authid", "select"), "the server's own"),
        (table("customers", "select"), "schema.name"),
        (table("a.b.c", "select"), "schema.name"),
        (table(MESSAGES, "truncate"), "expected a list of select"),
        (table(MESSAGES), "expected a list of select"),
        (table(MESSAGES, "select", "select"), "twice"),
        (table(MESSAGES, "delete", columns=["id"]), "whole rows"),
        (table(MESSAGES, "select", rows={"column": "case_id"}), "equals"),
        (table(MESSAGES, "select", rows={"column": "case_id", "equals": ""}), "equals"),
        (table(MESSAGES, "select", rows={"column": "case_id", "like": "%"}), "unknown"),
        (table(["public", "x" * 64], "select"), "no name"),
        (table(["public", "x\0y"], "select"), "no name"),
        (table(["public", ""], "select"), "no name"),
    ],
)
async def test_a_scope_that_names_nothing_or_too_much_is_refused_in_words(bench, odd, wanted):
    assert wanted in await refused_for(bench, scope(tables=[odd]))


@pytest.mark.requirement("PG-07")
@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"database": "postgres"}, "prod, staging"),
        ({"rowsMax": 0}, "rowsMax"),
        ({"rowsMax": 10**9}, "rowsMax"),
        ({"seconds": True}, "seconds"),
        ({"tables": []}, "tables"),
        ({"sequences": ["public.customers"]}, "no sequence"),
        ({"tables": [table(MESSAGES, "select"), table(MESSAGES, "select", columns=["id"])]}, "granted twice"),
    ],
)
async def test_a_scope_past_the_settings_is_refused_in_words(bench, changed, wanted):
    assert wanted in await refused_for(bench, scope(**changed))


# Ending.


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
    started = anyio.current_time()
    revoked = await bench.issuer.revoke(credential.lease)
    assert (revoked.sessions_cut, revoked.left) == (1, ())
    assert anyio.current_time() - started < 5
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
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
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
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


MINTER = """
import anyio, sys
from tests.postgres_server import PostgresServer
from tests.postgres_world import built, order
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
        stdout=asyncio.subprocess.PIPE, cwd=root, env={**os.environ, "PYTHONPATH": f"{root}:{root}/src"},
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


# Time and secrets.


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
