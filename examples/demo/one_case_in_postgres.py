"""Story 1 on PostgreSQL: the credentials of one support case, and what each is worth when it is tried directly.

What a credential can do is asked of the server itself, with psql, past the product; what is left is asked as superuser.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import an_update_beforehand
import anyio
from agent import Agent, agent
from database import Database, Said
from mandates import issue
from narrator import Narrator, UnexpectedError
from product import Product
from story import Story
from wire import Wire

TITLE: Final = "Story 1 · One case only, in PostgreSQL"
SERVER: Final = "support-db"
CASE: Final = "4711"
OTHER_CASE: Final = "4712"
REASON: Final = "the customer asks about a double charge"
NOTE: Final = "Both receipts agree: charged twice."
READ: Final = "SELECT case_id, customer, plan, subject FROM cases WHERE case_id = $1"
OTHERS: Final = "SELECT case_id FROM cases WHERE case_id <> $1"
WRITE: Final = "INSERT INTO notes (case_id, text) VALUES ($1, $2)"
END_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.05
TOLD: Final = ("at support-db, for support-db.read-case by support-agent, was revoked.", "used for 2 actions")


async def tell(product: Product, database: Database, wire: Wire) -> Story:
    """Tell the story and check each claim. Raises UnexpectedError."""
    narrator = product.narrator
    narrator.title(TITLE)
    version = (await database.run("SHOW server_version"))[0].split()[0]
    narrator.say(
        f"The support cases are in a PostgreSQL of their own this time: a real server, {version}, started just now on "
        f"port {database.port}. Only the broker, a process of its own, has an account there. Neither the agent nor the "
        "gateway has a password; for what an agent does the broker makes a role that can do that and nothing else."
    )
    narrator.say(f"Ada, head of support, lets the support agent work on case {CASE}. This is what she signs:")
    mandate = await issue(product, "support-case-in-database", by="ada", case=CASE)
    await product.upstreams_up([SERVER])
    async with agent(product, "support-agent", SERVER, mandate) as support:
        await work(support, database)
        for password in wire.passwords.values():
            narrator.hide(password)
        account = await only_account(database)
        thief = Thief(narrator, database, account, wire.passwords[account])
        narrator.say(
            f"That took {len(wire.passwords)} roles, one for the note and one for reading. The product hands their "
            "passwords to nobody. So that they can be tried all the same, this server asks for passwords in the clear, "
            "and a thief has listened on the wire and has both. The one for the note ended with its action:"
        )
        await try_note(thief, wire)
        narrator.say("The one for reading lives as long as the task, 15 minutes at most:")
        await try_while_live(thief)
        async with an_open_session(thief) as session:
            narrator.say(
                "The thief keeps a session open. The case is answered and the mandate closed. Nobody tells the thief."
            )
            await product.command("mandate", "close", mandate, "--yes", show=("err",))
            await try_when_over(thief, session)
        await product.command("lease", "list")
        again = await support.call("query", {"sql": READ, "parameters": [CASE]}, reason=REASON)
        narrator.expect(
            again.kind == "denied" and "closed" in again.text,
            "the agent is denied, too, and no role is made for it",
            happened=(again.text, await accounts(database)),
        )
    await check_ledger(product, mandate)
    await an_update_beforehand.tell(product, database)
    return Story(title=TITLE, mandate=mandate, told=TOLD)


async def work(support: Agent, database: Database) -> None:
    """What the task needs is done; what it does not need is stopped, by the mandate or by the server."""
    narrator = support.narrator
    found = await support.call("query", {"sql": READ, "parameters": [CASE]}, reason=REASON, show=False)
    rows = found.fields.get("rows") or []
    if found.kind == "allowed":
        narrator.answer("allowed", "; ".join(", ".join(map(str, row)) for row in rows))
    narrator.expect(
        found.kind == "allowed"
        and rows == [[CASE, "Amara Okafor", "Business", "Invoice for October was charged twice"]],
        f"case {CASE} was read from the real database",
        happened=found.text,
    )
    other = await support.call("query", {"sql": READ, "parameters": [OTHER_CASE]}, reason=REASON)
    narrator.expect(
        other.kind == "denied" and OTHER_CASE in other.text,
        f"case {OTHER_CASE} is denied before the database hears of it",
        happened=other.text,
    )
    around = await support.call("query", {"sql": OTHERS, "parameters": [CASE]}, reason=REASON, show=False)
    if around.kind == "allowed":
        narrator.answer("allowed", f"{len(around.fields.get('rows') or [])} rows")
    (cases,) = await database.run("SELECT count(*) FROM cases")
    narrator.expect(
        around.kind == "allowed" and around.fields.get("rows") == [] and int(cases) > 1,
        f"a statement that asks for all other cases gets none: for this role the table has one row, not {cases}",
        happened=around.text,
    )
    written = await support.call(
        "execute", {"sql": WRITE, "parameters": [CASE, NOTE]}, reason=REASON, show=False
    )
    if written.kind == "allowed":
        narrator.answer("allowed", "1 row")
    notes = await database.run(f"SELECT text FROM notes WHERE case_id = '{CASE}' ORDER BY note_id")
    narrator.expect(
        written.kind == "allowed" and notes[-1] == NOTE and len(notes) == 2,
        "the note is written, by a role of its own that could do that and not read",
        happened=(written.text, notes),
    )


class Thief:
    """Somebody who has got hold of a lease's account and password, and goes to the server past everything else."""

    def __init__(self, narrator: Narrator, database: Database, account: str, password: str) -> None:
        self.narrator = narrator
        self.database = database
        self.account = account
        self.password = password

    @property
    def typed(self) -> str:
        """How psql is started, as a person would type it."""
        return f"psql -h 127.0.0.1 -p {self.database.port} -U {self.account} support"

    async def tries(self, sql: str) -> Said:
        """One statement in a session of its own, told with what the server says."""
        self.narrator.command(f'{self.typed} -c "{sql}"')
        said = await self.database.asked(sql, account=self.account, password=self.password)
        self.narrator.output(said.text.splitlines() or ["(no rows)"])
        return said


async def try_note(thief: Thief, wire: Wire) -> None:
    """The credential of the note served one action and is over, while the task goes on."""
    (account,) = wire.passwords.keys() - {thief.account}
    note = Thief(thief.narrator, thief.database, account, wire.passwords[account])
    said = await note.tries("SELECT 1")
    thief.narrator.expect(
        said.code != 0 and "authentication failed" in said.text,
        "the credential of one action is refused by the server once the action is over",
        happened=said.text,
    )


async def try_while_live(thief: Thief) -> None:
    """The credential works, for what it was made for and nothing beside."""
    narrator = thief.narrator
    read = await thief.tries("SELECT case_id, subject FROM cases")
    narrator.expect(
        read.code == 0 and [line.split("|")[0] for line in read.text.splitlines()] == [CASE],
        f"the stolen credential works while it lives, and shows case {CASE} alone",
        happened=read.text,
    )
    for sql, claim in (
        ("UPDATE cases SET plan = 'Free'", "it cannot write: the server refuses it, not we"),
        ("SELECT card FROM payment_cards", "it cannot read another table"),
        ("SELECT email FROM cases", "it cannot read a column that the task does not need"),
    ):
        said = await thief.tries(sql)
        narrator.expect(said.code != 0 and "permission denied" in said.text, claim, happened=said.text)


@asynccontextmanager
async def an_open_session(thief: Thief) -> AsyncIterator[Session]:
    """A session of the thief's that is logged in and waits. Raises UnexpectedError when it does not come to be."""
    database = thief.database
    async with await anyio.open_process(
        database.line(thief.account), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=database.environment(thief.password),
    ) as process:  # fmt: skip
        session = Session(process)
        try:
            said = await session.says("SELECT count(*) FROM cases;\n")
            if said.strip() != "1":
                raise UnexpectedError("an open session", said)
            yield session
        finally:
            if process.returncode is None:
                process.kill()


class Session:
    """A psql that is fed line by line."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process

    async def says(self, sql: str) -> str:
        """The next thing that it writes, empty once it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            await self._process.stdin.send(sql.encode())
            with anyio.fail_after(END_SECONDS_MAX):
                return (await self._process.stdout.receive()).decode()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return ""


async def try_when_over(thief: Thief, session: Session) -> None:
    """The task is over: the session is cut, nobody can log in, and the server knows no such role."""
    narrator = thief.narrator
    said = await session.says(asked := "SELECT case_id, subject FROM cases;\n")
    with anyio.move_on_after(END_SECONDS_MAX):
        # The broker hears of the end a moment later; then the role loses its rights first, and its sessions next.
        while said and not was_cut(said):
            await anyio.sleep(POLL_SECONDS)
            said = await session.says(asked)
    narrator.say("The session that was open, asked once more:")
    narrator.output(said.splitlines())
    narrator.expect(
        not said or was_cut(said),
        "the open session was cut by the server",
        happened=said,
    )
    said = (refused := await thief.tries("SELECT case_id, subject FROM cases")).text
    narrator.expect(
        # What ends a role first takes its right to log in, so that it is refused from then on, and then drops it.
        refused.code != 0
        and any(
            one in said for one in ("authentication failed", "not permitted to log in", "does not exist")
        ),
        "the same credential, tried again, is refused by the server itself",
        happened=said,
    )
    with anyio.move_on_after(END_SECONDS_MAX):
        while await accounts(thief.database):  # noqa: ASYNC110 - a server has no event
            await anyio.sleep(POLL_SECONDS)
    left = await accounts(thief.database)
    narrator.expect(left == [], "the server knows no role of any lease any more", happened=left)


def was_cut(said: str) -> bool:
    """Whether psql says that the server ended its session."""
    return "terminating connection" in said or "closed the connection" in said


async def accounts(database: Database) -> list[str]:
    """Every role of a lease that the server knows."""
    return await database.run(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'ans\_%'")


async def only_account(database: Database) -> str:
    """The role that is left of several actions. Raises UnexpectedError when it is not alone in time."""
    with anyio.move_on_after(END_SECONDS_MAX):
        while len(await accounts(database)) != 1:  # noqa: ASYNC110 - a server has no event
            await anyio.sleep(POLL_SECONDS)
    found = await accounts(database)
    if len(found) != 1:
        raise UnexpectedError("one role, of the lease for reading", found)
    return found[0]


async def check_ledger(product: Product, mandate: str) -> None:
    """Every credential is on record with its end."""
    entries: Sequence[dict[str, object]] = []
    ended: list[str] = []
    with anyio.move_on_after(END_SECONDS_MAX):
        while len(ended) < 2:
            entries = await product.entries(mandate)
            ended = [
                str(one["text"])
                for one in entries
                if one["kind"] == "lease" and "was revoked" in str(one["text"])
            ]
            await anyio.sleep(POLL_SECONDS)
    product.narrator.expect(
        len(ended) == 2,
        "the ledger tells of both credentials what they were for and that they were revoked",
        happened=[(one["kind"], one["text"]) for one in entries],
    )
