"""Every line of a real PostgreSQL's own log, of agents, people and other services, is told from which step it is."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.stand_ins.postgres_server import SETTINGS, PostgresServer, own_postgres
from tests.worlds.brokered import SupportDesk, support_desk
from tests.worlds.postgres import furnish

pytestmark = pytest.mark.anyio

PREFIX = "%m|%c|%u|%a| "
LOGS = f"""
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_filename = 'pg.log'
log_line_prefix = '{PREFIX}'
log_timezone = 'UTC'
log_file_mode = 0644
"""
ODD_ACCOUNT = "=1+1\x1b[31m"
THIEFS_WORD = "a password that the thief set"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_postgres(f"{SETTINGS}{LOGS}") as running:
        asyncio.run(furnish(running))
        yield running


@dataclass
class Lab:
    """What was done, as its doers know it. ours: action by the mark in its statement. theft, forged: marks of what was
    done on an account of ours past the broker, and under a label of ours. others: marks of what is none of ours."""

    desk: SupportDesk
    server: PostgresServer
    ours: dict[str, str] = field(default_factory=dict)
    theft: set[str] = field(default_factory=set)
    forged: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    @property
    def logs(self) -> Path:
        return self.server.folder / "state/log"

    async def acts(self, key: Any, tool: str, sql: str, mark: str) -> str:
        said = await self.desk.calls(key, tool, f"{sql} /* {mark} */")
        action = self.desk.action_of(said)
        self.ours[mark] = action
        return action

    def marked(self) -> dict[int, str]:
        """The mark in each line of the JSON log, read without any of our code, by the number of the line."""
        found = {}
        for number, line in enumerate(self.logs.joinpath("pg.json").read_text().splitlines(), 1):
            entry = json.loads(line)
            text = f"{entry.get('message', '')} {entry.get('statement', '')}"
            for mark in (*self.ours, *self.theft, *self.forged, *self.others):
                if f"/* {mark} */" in text:
                    found[number] = mark
        return found

    async def attributed(self, name: str, *more: str, code: int = 5) -> list[dict[str, str]]:
        told = await asyncio.to_thread(self.told, name, *more, "--csv")
        assert told.returncode == code, told.stdout[-2000:] + told.stderr
        return list(csv.DictReader(io.StringIO(told.stdout)))

    def told(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        ledger = str(self.desk.home.data / "ledger")
        words = ("attribute", str(self.logs / name), "--kind", "postgres", "--ledger", ledger)
        return self.desk.home.finished(*words, *more)


async def session(server: PostgresServer, user: str, password: str, **named: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1",
        port=server.port,
        user=user,
        password=password,
        database="prod",
        server_settings=named,
    )


async def people_work(lab: Lab, label: str, name: str) -> None:
    """A person, and a service that pools its connection, mixed with the rest; one of them with labels of ours."""
    owner = await lab.server.owner("prod")
    service = await session(lab.server, "billing", "billing-password", application_name="billing 2.1")
    for number in range(20):
        mark = f"{name}-other-{number}"
        lab.others.add(mark)
        if number % 2:
            await owner.execute(f"SELECT 1 /* {mark} */; SELECT 2")
        else:
            await service.execute(f"BEGIN; SET LOCAL ROLE billing; SELECT 1 /* {mark} */; COMMIT")
    mark = f"{name}-forged"
    lab.forged[mark] = label
    await service.execute(f"SET application_name = '{label}'")
    await service.execute(f"SELECT 3 /* {mark} */")
    await service.close()
    await owner.close()


async def thief_works(lab: Lab, account: str, label: str, name: str) -> None:
    """Somebody who has a password of an account of ours while it lives."""
    owner = await lab.server.owner("prod")
    await owner.execute(f"ALTER ROLE {account} PASSWORD '{THIEFS_WORD}'")
    await owner.close()
    thief = await session(lab.server, account, THIEFS_WORD, application_name=label)
    for number in range(3):
        mark = f"{name}-theft-{number}"
        lab.theft.add(mark)
        await thief.execute(f"SELECT count(*) FROM support_messages /* {mark} */; SELECT 1")
    await thief.close()


@contextlib.asynccontextmanager
async def worked(root: Path, server: PostgresServer) -> AsyncIterator[Lab]:
    """A desk on which everybody worked, and which has stopped since."""
    async with support_desk(root, server) as desk:
        lab = Lab(desk, server)
        await server.run("DROP ROLE IF EXISTS billing")
        await server.run("CREATE ROLE billing LOGIN PASSWORD 'billing-password'")
        key = await desk.agent()
        first = await lab.acts(key, "query", "SELECT id FROM support_messages", "first")
        await lab.acts(key, "execute", "UPDATE support_messages SET body = 'x' WHERE id = 1", "task-0")
        (lease,) = await desk.leases()
        for number in range(1, 4):
            await people_work(lab, first, f"round-{number}")
            await lab.acts(key, "query", "SELECT body FROM support_messages", f"read-{number}")
            await lab.acts(
                key, "execute", "UPDATE support_messages SET body = 'y' WHERE id = 1", f"task-{number}"
            )
            await lab.acts(key, "query", "SELECT secret_note FROM support_messages", f"refused-{number}")
        liar = "SELECT set_config('application_name', '" + first + "', false)"
        lies = await lab.acts(key, "query", f"{liar} FROM support_messages", "liar")
        await thief_works(lab, lease["account"], lease["name"], "thief")
        await lab.acts(key, "query", "SELECT id FROM support_messages", "last")
        await desk.ends_task()
        lab.forged["liar-label"] = lies
        await desk.home.stop(signal.SIGTERM)
        yield lab


@pytest.mark.requirement("ATTRIBUTE-01", "ATTRIBUTE-02", "ATTRIBUTE-03", "ATTRIBUTE-06", "ATTRIBUTE-12")
async def test_every_line_of_a_real_log_is_told_from_the_step_that_wrote_it(tmp_path, server):
    async with worked(tmp_path, server) as lab:
        # With the keys, each statement is compared, and none differs.
        keys = ("--keys", str(lab.desk.home.data))
        found = {int(row["line"]): row for row in await lab.attributed("pg.json", *keys) if row["line"]}
        marked = lab.marked()
        assert {*marked.values()} >= {*lab.ours, *lab.theft, "round-1-forged", *lab.others}
        for number, mark in marked.items():
            row = found.get(number)
            if mark in lab.others:
                assert row is None, (mark, row)
                continue
            assert row is not None, mark
            if mark in lab.ours:
                assert (row["verdict"], row["action"]) == ("ours", lab.ours[mark]), (mark, row)
                assert row["grade"] in "AB", row
                assert row["agent"] == "scout"
            elif mark in lab.theft:
                assert (row["verdict"], row["action"]) == ("bypass", ""), (mark, row)
            else:
                assert (row["verdict"], row["claimed"]) == ("forged", lab.forged[mark]), (mark, row)
        # The action that changed the label of its own session is told as who it was, whatever it called itself.
        (first,) = [action for mark, action in lab.ours.items() if mark == "first"]
        lies = [row for row in found.values() if row["verdict"] == "forged" and row["action"]]
        assert {(row["action"], row["claimed"], row["grade"]) for row in lies} == {
            (lab.forged["liar-label"], first, "B")
        }
        on_ours = [
            json.loads(line).get("user", "").startswith("ans_")
            for line in lab.logs.joinpath("pg.json").read_text().splitlines()
        ]
        for number, is_ours in enumerate(on_ours, 1):
            assert not is_ours or found[number]["verdict"] in ("ours", "bypass", "forged")
        # Whoever had not logged in yet after the end of the ledger is nobody's.
        assert not [row for row in found.values() if row["verdict"] in ("shared", "later") and row["account"]]

        # The other two forms of the same log say the same.
        counts = Counter((row["verdict"], row["grade"], row["action"]) for row in found.values())
        in_csv = await lab.attributed("pg.csv", *keys)
        assert (
            Counter((row["verdict"], row["grade"], row["action"]) for row in in_csv if row["line"]) == counts
        )
        in_text = await lab.attributed("pg.log", "--prefix", PREFIX, *keys)
        steps = {(row["verdict"], row["action"]) for row in found.values()}
        assert {(row["verdict"], row["action"]) for row in in_text} == steps
        lines = lab.logs.joinpath("pg.log").read_text().splitlines()
        for row in in_text:
            text = lines[int(row["line"]) - 1]
            for mark, action in lab.ours.items():
                assert f"/* {mark} */" not in text or row["action"] == action, text


@pytest.mark.requirement(
    "ATTRIBUTE-04", "ATTRIBUTE-08", "ATTRIBUTE-12", "ACCOUNT-02", "ACCOUNT-03", "ACCOUNT-04"
)
async def test_what_the_log_does_not_say_or_says_otherwise_is_told_and_texts_of_it_are_harmless(
    tmp_path, server
):
    async with support_desk(tmp_path, server) as desk:
        lab = Lab(desk, server)
        key = await desk.agent()
        for mark in ("kept", "lost", "kept-too"):
            await lab.acts(key, "query", "SELECT id FROM support_messages", mark)
        await accounts_are_told(lab)
        await desk.home.stop(signal.SIGTERM)
        lost = desk.of_action(lab.ours["lost"])[1]["session"]["pg_session"]
        lines = lab.logs.joinpath("pg.json").read_text().splitlines()
        entries = [json.loads(one) for one in lines]
        begun = next(number for number, one in enumerate(entries) if "/* kept */" in one.get("message", ""))
        entries = [one for one in entries[begun:] if one.get("session_id") != lost]
        other = "SELECT secret_note FROM support_messages /* kept-too */"
        for one in entries:
            before, mark, after = str(one.get("message")).partition(
                "SELECT id FROM support_messages /* kept-too */"
            )
            one |= {"message": f"{before}{other}{after}"} if mark else {}
        quiet = {"session_id": "0.0", "user": "=alice\x1b[2J", "message": "=2+2"}
        hour = {"first": "2001-01-01 00:00:00.000 UTC", "last": "2099-01-01 00:00:00.000 UTC"}
        hostile = {**quiet, "timestamp": hour["last"], "application_name": lab.ours["kept"]}
        short, long = lab.logs / "short.json", lab.logs / "long.json"
        short.write_text("".join(f"{json.dumps(one)}\n" for one in entries))
        written = [{**quiet, "timestamp": hour["first"]}, *entries, hostile]
        long.write_text("".join(f"{json.dumps(_in_order(one))}\n" for one in written))

        # A log that ends a moment after the step does not cover its time.
        told = await asyncio.to_thread(lab.told, "short.json", "--json")
        assert (told.returncode, json.loads(told.stdout)["phantoms"]) == (0, []), told.stderr
        assert json.loads(told.stdout)["uncovered"] == 1
        # Without keys nothing of content is compared, and that is told.
        content = json.loads(told.stdout)["content"]
        assert (content["compared"], content["unsaid"]) == (0, [])
        assert ("statement", 2) in {(one["field"], one["steps"]) for one in content["uncompared"]}
        rows = await lab.attributed("long.json")
        assert [row["action"] for row in rows if row["verdict"] == "phantom"] == [lab.ours["lost"]]
        (forged,) = [row for row in rows if row["verdict"] == "forged"]
        assert forged["account"] == "'=alice\\u{1b}[2J"
        people = await asyncio.to_thread(lab.told, "long.json", "--keys", str(desk.home.data))
        assert people.returncode == 5
        assert "\x1b" not in people.stdout
        assert "2+2" not in people.stdout
        assert "phantom  " in people.stdout
        assert "counted only" in people.stdout
        assert people.stdout.count("\ncontent  20") == 1
        assert (
            "statement: the log has every statement of this action, and not the recorded one" in people.stdout
        )
        assert "secret_note" not in people.stdout
        assert f"action {lab.ours['kept-too']}: agent scout" in people.stdout
        assert f"action {lab.ours['kept']}: agent scout, case.read at shop-db" in people.stdout
        refused = await asyncio.to_thread(lab.told, "pg.json", "--json", "--csv")
        assert (refused.returncode, "either --json or --csv" in refused.stderr) == (2, True)
        unreadable = await asyncio.to_thread(lab.told, "pg.log")
        assert unreadable.returncode == 1
        assert "--prefix" in unreadable.stderr


async def accounts_are_told(lab: Lab) -> None:
    """Of the log of a server in use: people's, the broker's own and those of leases, by the server and by a copy."""
    owner = await lab.server.owner("prod")
    for name in (ODD_ACCOUNT, "ans_*"):
        await owner.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'odd'")
        await (await session(lab.server, name, "odd")).close()
    await owner.close()
    await lab.desk.command("ledger", "seal")
    data = lab.desk.home.data
    seen = ("--target", "shop-db", "--seen", str(data / "seen-accounts.json"))
    kept = await asyncio.to_thread(lab.told, "pg.json", "--json", *seen)
    assert json.loads(kept.stdout)["files"], kept.stderr
    lines = len(lab.logs.joinpath("pg.json").read_text().splitlines())
    text = (data / "seen-accounts.json").read_text()
    assert "support_messages" not in text
    copy = ("--ledger", str(data / "ledger"), *seen)
    for words, is_asked in (((), True), (copy, False)):
        done = await asyncio.to_thread(lab.desk.home.finished, "account", "list", "--json", *words)
        assert done.returncode == 5, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["broker"] == is_asked
        found = {one["name"]: one for one in told["items"]}
        people = {one["name"] for one in told["items"] if one["kind"] == "unknown" and not one["actions"]}
        assert {"owner", ODD_ACCOUNT, "ans_*"} <= people
        assert sum(one["lines"] for one in found.values()) <= lines
        assert {one["target"] for one in found.values()} == {"shop-db"}
        (own,) = (one for one in told["items"] if one["kind"] == "action")
        assert (own["name"], own["accounts"], own["actions"], own["past"]) == ("ans_*", 3, 3, 0)
        assert [one["name"] for one in own["agents"]] == ["scout"]
        # Of its own account the broker alone knows.
        broker = found["answerable"]
        assert (broker["kind"], broker["kept"]) == (("static", "file") if is_asked else ("unknown", ""))
        assert all(one["lines"] > 0 for one in found.values())
    # A name that a log alone has, one that is also the beginning of the log's key, and one by its kind.
    for words in (("show", "owner"), ("show", "answerable"), ("timeline", "account:owner")):
        person = await asyncio.to_thread(lab.desk.home.finished, *words)
        assert person.returncode == 0, person.stderr
        said = "a secret of the broker's own" if "answerable" in words else "nobody declared it"
        assert f"at shop-db: {said}" in person.stdout
    table = await asyncio.to_thread(lab.desk.home.finished, "account", "list", "--csv")
    assert "\x1b" not in table.stdout
    assert [one for one in csv.reader(io.StringIO(table.stdout)) if one[1] == "'=1+1\\u{1b}[31m"]


def _in_order(entry: dict[str, Any]) -> dict[str, Any]:
    """As the server orders it: the time first."""
    return {"timestamp": entry["timestamp"], **entry}
