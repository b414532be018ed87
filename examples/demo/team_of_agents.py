"""Story 4: a task is handed on twice, each time a smaller part of it, and ends everywhere at once, while all work.

Whether a note was written is asked of the CRM's own database, past the gateway and past the agents.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from agent import Agent, Reply, agent, shortly
from mandates import issue
from narrator import UnexpectedError
from product import Product, standing_still
from story import Story

from answerable.core.mandate.constraint import MaxSubtree, OneOf
from answerable.errors import AnswerableError
from answerable.sdk.delegation import Narrowing, Receiver, hand_on, token_for
from answerable.sdk.gateway_address import open_client
from answerable.sdk.keyfile import load_key

TITLE: Final = "Story 4 · Handed on"
CASE: Final = "4711"
OTHER_CASE: Final = "4712"
READ: Final = "crm.customer-read"
NOTE: Final = "crm.note-add"
TEXT: Final = "Both receipts agree: the October invoice was charged twice."
REASON: Final = "two customers wait for an answer"
ROUND: Final = "Asked the payment provider once more."
IN_FLIGHT_SECONDS_MAX: Final = 20.0
POLL_SECONDS: Final = 0.05
TOLD: Final = (
    "Agent orchestrator was issued a token for mandate",
    "orchestrator handed mandate",
    "on to researcher (hop 1), at most 10 calls",
    "researcher handed mandate",
    "on to writer (hop 2), only for crm.note-add",
    "bela through orchestrator → researcher under mandate",
    "Agent writer tried to call note_add(case_id=4712",
    "the delegation from 'orchestrator' to 'researcher' (hop 1 of 2)",
    "the delegation from 'researcher' to 'writer' (hop 2 of 2)",
    "in flight at that moment: 3",
)
"""What the ledger must tell of it: who handed what on to whom, through whom each acted, and which hop said no."""

Working = tuple[Agent, Agent, Agent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Files with what each agent holds: a chain of hops, root first."""

    orchestrator: Path
    researcher: Path
    writer: Path


async def tell(product: Product) -> Story:
    """Tell the story and check each claim. Raises UnexpectedError."""
    narrator, home = product.narrator, product.home
    narrator.title(TITLE)
    narrator.say(
        f"Bela of support gives the orchestrator two cases, {CASE} and {OTHER_CASE}. It may hand parts on, two deep, "
        "to the researcher and the writer, and to nobody else:"
    )
    mandate = await issue(product, "case-team", by="bela", case=CASE, other=OTHER_CASE)
    await product.upstreams_up(["crm"])
    handed = await hand_out(product, mandate)
    before = notes_in(home.crm)
    async with (
        agent(product, "orchestrator", "crm", "", delegation=handed.orchestrator) as orchestrator,
        agent(product, "researcher", "crm", "", delegation=handed.researcher) as researcher,
        agent(product, "writer", "crm", "", delegation=handed.writer) as writer,
    ):
        await work(orchestrator, researcher, writer)
        narrator.expect(
            notes_in(home.crm) == [*before, (CASE, TEXT)],
            f"all three worked, and the CRM's database has one note more, on case {CASE}",
            happened=notes_in(home.crm),
        )
        await ask_for_more(writer)
        await copy_the_chain(product, handed.writer)
        await end_while_all_work(product, mandate, (orchestrator, researcher, writer))
    await check_tree(product, mandate)
    return Story(title=TITLE, mandate=mandate, told=TOLD)


async def hand_out(product: Product, mandate: str) -> Handed:
    """A token for the orchestrator, by the token service; below it each agent signs with its own key, alone."""
    narrator, home = product.narrator, product.home
    keys = {name: load_key(home.key(name)) for name in ("orchestrator", "researcher", "writer")}
    client, base = open_client(f"unix:{home.path / 'gateway.sock'}")
    async with client:
        root = await token_for(client, base, mandate=mandate, auth=keys["orchestrator"])
    narrator.say(
        f"The orchestrator gets a token for its mandate, bound to its key. It hands case {CASE} on to the researcher, "
        "for at most 10 calls, and signs that itself, without asking a server. The researcher hands on to the writer "
        f"that it may add notes ({NOTE}), at most 5 calls."
    )
    one_case = tuple(OneOf(key=f"resource:{name}", members=(CASE,)) for name in (READ, NOTE))
    to_researcher = hand_on(
        root,
        Receiver(agent="researcher", key=keys["researcher"].public),
        Narrowing(constraints=(*one_case, MaxSubtree(key="calls", bound=10))),
        key=keys["orchestrator"],
    )
    to_writer = hand_on(
        to_researcher,
        Receiver(agent="writer", key=keys["writer"].public),
        Narrowing(scopes=(NOTE,), constraints=(MaxSubtree(key="calls", bound=5),)),
        key=keys["researcher"],
    )
    both_cases = OneOf(key=f"resource:{NOTE}", members=(CASE, OTHER_CASE))
    try:
        hand_on(
            to_researcher,
            Receiver(agent="writer", key=keys["writer"].public),
            Narrowing(constraints=(both_cases,)),
            key=keys["researcher"],
        )
    except AnswerableError as refused:
        narrator.expect(
            refused.code == "delegation.not_narrower",
            f"the researcher cannot hand on case {OTHER_CASE}, which it does not have itself",
            happened=refused.message,
        )
    else:
        raise UnexpectedError("no hop that is wider than its parent", "it was signed")
    return Handed(
        orchestrator=kept(home.company, "orchestrator", root),
        researcher=kept(home.company, "researcher", to_researcher),
        writer=kept(home.company, "writer", to_writer),
    )


def kept(folder: Path, name: str, chain: str) -> Path:
    """In a file, as it may travel: who copies it has nothing without the key that its last hop names."""
    path = folder / f"{name}.chain"
    path.write_text(chain)
    return path


async def work(orchestrator: Agent, researcher: Agent, writer: Agent) -> None:
    """Each acts by what it holds. Raises UnexpectedError when one cannot."""
    for who, tool, arguments in (
        (orchestrator, "customer_read", {"case_id": OTHER_CASE}),
        (researcher, "customer_read", {"case_id": CASE}),
        (writer, "note_add", {"case_id": CASE, "text": TEXT}),
    ):
        reply = await who.call(tool, dict(arguments), reason=REASON, show=False)
        if reply.kind != "allowed":
            raise UnexpectedError(f"{tool} for {who.name}", reply.text)
        who.narrator.answer(
            "allowed", str(reply.fields.get("subject") or reply.fields.get("text") or "written")
        )


async def ask_for_more(writer: Agent) -> None:
    """What the mandate has and the researcher has not, and what the researcher has and did not hand on."""
    other = await writer.call("note_add", {"case_id": OTHER_CASE, "text": TEXT}, reason=REASON)
    writer.narrator.expect(
        other.kind == "denied" and "to `researcher` (hop 1 of 2)" in other.text,
        f"case {OTHER_CASE} is denied to the writer, and the hop that leaves it out is named",
        happened=other.text,
    )
    read = await writer.call("customer_read", {"case_id": CASE}, reason=REASON)
    writer.narrator.expect(
        read.kind == "denied" and "to `writer` (hop 2 of 2)" in read.text,
        "reading is denied to it too: the researcher may, and did not hand that on",
        happened=read.text,
    )


async def copy_the_chain(product: Product, chain: Path) -> None:
    """Another agent presents the writer's chain under its own key."""
    product.narrator.say("The coding agent has got hold of a copy of what the writer holds, and uses it.")
    async with agent(product, "coding-agent", "crm", "", delegation=chain) as thief:
        tried = await thief.call("note_add", {"case_id": CASE, "text": "Pay me."}, reason=REASON)
    product.narrator.expect(
        tried.kind == "denied" and "writer" in tried.text,
        "the copy is worth nothing without the writer's key",
        happened=tried.text,
    )


async def end_while_all_work(product: Product, mandate: str, agents: Working) -> None:
    """The task is revoked while each agent has a call on its way. Raises UnexpectedError."""
    narrator, home = product.narrator, product.home
    narrator.say(
        "All three go on, call after call. The CRM stands still for a moment, so that each has a call on its way there "
        "when Bela ends the whole task with one command. Nobody tells the agents."
    )
    before = notes_in(home.crm)
    still = anyio.Event()
    replies: dict[str, list[Reply]] = {one.name: [] for one in agents}
    calls: tuple[tuple[str, dict[str, object]], ...] = (
        ("customer_read", {"case_id": OTHER_CASE}),
        ("customer_read", {"case_id": CASE}),
        ("note_add", {"case_id": CASE, "text": ROUND}),
    )
    async with anyio.create_task_group() as tasks:
        for one, (tool, arguments) in zip(agents, calls, strict=True):
            tasks.start_soon(until_denied, one, tool, arguments, replies[one.name], still)
        await until(lambda: all(replies.values()), "each of the three at work", replies)
        with standing_still("crm.py", str(home.crm)):
            still.set()
            await in_flight(product, mandate)
            revoked = await product.command(
                "revoke", "mandate", mandate, "--yes", "--reason", "both cases are answered"
            )
    told = [line for line in revoked.out if line.startswith("in flight")]
    narrator.expect(
        sorted(name for name in replies if any(f"by {name} since" in line for line in told))
        == sorted(replies)
        and len(told) == len(replies),
        "revoking names the call of each that was on its way and could not be called back",
        happened=revoked.out,
    )
    for one, (tool, arguments) in zip(agents, calls, strict=True):
        for reply in replies[one.name][1:]:
            narrator.asks(one.server, tool, arguments, who=one.name)
            narrator.answer(reply.kind, shortly(reply.text) if reply.kind != "allowed" else last_line(reply))
    narrator.expect(
        all([reply.kind for reply in found] == ["allowed", "allowed", "denied"] for found in replies.values())
        and all("revoked" in found[-1].text for found in replies.values()),
        "what was on its way came to its end; all three stop at their very next call",
        happened=replies,
    )
    narrator.expect(
        notes_in(home.crm) == [*before, (CASE, ROUND), (CASE, ROUND)],
        "the CRM's database has the two notes that the writer was told are written, and none after",
        happened=notes_in(home.crm),
    )


async def until_denied(
    one: Agent, tool: str, arguments: dict[str, object], replies: list[Reply], still: anyio.Event
) -> None:
    """An agent that goes on working until it is told no. After its first call it waits for the CRM to stand still, so
    that its second is on its way when the task ends, and its third comes after."""
    while not replies or replies[-1].kind == "allowed":
        replies.append(await one.quiet_call(tool, arguments, reason=REASON))
        await still.wait()


async def until(holds: Callable[[], bool], expected: str, happened: object) -> None:
    """Wait for something that is under way. Raises UnexpectedError when it does not come."""
    with anyio.move_on_after(IN_FLIGHT_SECONDS_MAX):
        while True:
            if holds():
                return
            await anyio.sleep(POLL_SECONDS)
    raise UnexpectedError(expected, happened)


async def in_flight(product: Product, mandate: str) -> None:
    """Wait until the ledger has begun a call of each hop that has not ended. Raises UnexpectedError."""
    seen: list[int] = []
    with anyio.move_on_after(IN_FLIGHT_SECONDS_MAX):
        while True:
            tree = await product.get(f"/v1/mandates/{mandate}/tree")
            seen = [hop["actions"]["in_flight"] for hop in tree["hops"]]
            if seen == [1, 1, 1]:
                return
            await anyio.sleep(POLL_SECONDS)
    raise UnexpectedError("one call of each agent in flight", seen)


def last_line(reply: Reply) -> str:
    """What an allowed call brought, shortly."""
    return str(reply.fields.get("subject") or "written")


def notes_in(database: Path) -> list[tuple[str, str]]:
    """Case and text of every note, by the database file itself."""
    with closing(sqlite3.connect(database)) as connection:
        return [*connection.execute("SELECT case_id, text FROM notes ORDER BY note_id")]


async def check_tree(product: Product, mandate: str) -> None:
    """The tree says who had what, what came of it, and that it is over."""
    narrator = product.narrator
    await product.command("mandate", "tree", mandate)
    tree = await product.get(f"/v1/mandates/{mandate}/tree")
    seen = [
        (hop["agent"], hop["form"], hop["actions"]["done"], hop["actions"]["refused"]) for hop in tree["hops"]
    ]
    narrator.expect(
        tree["state"] == "revoked"
        and seen
        == [
            ("orchestrator", "online", 3, 1),
            ("researcher", "offline", 3, 1),
            ("writer", "offline", 3, 3),
        ],
        "the tree shows each hop, what was done and refused there, and that the task is revoked",
        happened=tree,
    )
    told = [line["text"] for line in await product.entries(mandate)]
    narrator.expect(
        any("researcher handed mandate" in text and "on to writer (hop 2)" in text for text in told)
        and any("through orchestrator → researcher" in text for text in told),
        "the ledger tells who handed on to whom, and through whom the note was written",
        happened=told,
    )
