"""What the search index costs and how fast it answers: CPU and bytes an action, and searches over all of them.

Run with `./dev bench search [--actions COUNT] [--calls COUNT]`, which also measures the process that answers searches
beside a real server (`search_beside.py`). The facts of actions come from memory, so that reading and opening the
ledger is not in it: agents and resources as unequal as in practice (Zipf), three of ten with session keys of a target,
two of ten with a destination, each action with its end. A search is for the newest 50 hits, without opening them. A
story is of one task with a hundred actions that the real walk did, after all others: its entries are found, opened and
told; they come from memory, too. Where DuckDB is installed, the same rows are asked the same there, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import search_beside
from msgspec import structs

from answerable.adapters.sqlite.search_index import SqliteSearchIndex
from answerable.core.canonical import encode
from answerable.core.lease.name import LeaseName, account_of, lease_name
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.projected import START, Position
from answerable.core.ledger.tags import Tag
from answerable.core.search.blind import BlindKey
from answerable.core.search.declared import Money
from answerable.core.search.facts import ENDS, Ended, Facts, ended_of, facts_of
from answerable.core.search.names import parsed_names
from answerable.core.search.query import parsed_query
from answerable.errors import Refused
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.forensics.tell_hits import story_answer
from answerable.flows.forensics.tell_story import StoryTeller
from answerable.testing.builders import Bench

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey

ACTIONS = 200_000
BATCH = 5_000
PAGE = 50
DAY = 86_400_000
BEGIN = 1_790_000_000_000
AGENTS, RESOURCES, PEOPLE = 200, 200_000, 500
REPEATS = 20
MICROSECONDS_MAX = 70
BYTES_MAX = 300
STORY_ACTIONS = 100
STORY = "a story of 100 actions"
MILLISECONDS_MAX = {
    STORY: 300,
    "agent + a day": 100,
    "resource": 20,
    "session key": 20,
    "lease": 20,
    "a mandate": 50,
}
"""Issue 11, *How fast*."""


def zipf(chance: random.Random, count: int) -> int:
    """A number below count, the small ones much more often."""
    return (
        min(int(chance.paretovariate(1.0)) - 1, count - 1)
        if chance.random() < 0.5
        else chance.randrange(count)
    )


def lived(count: int) -> Iterator[Facts | Ended]:
    """The facts of so many actions over ten days, each followed by its end."""
    chance = random.Random(11)
    for number in range(count):
        at, entry = BEGIN + number * 10 * DAY // count, 2 * number
        agent, octets = zipf(chance, AGENTS), number.to_bytes(16, "big")
        subject = f"{chance.randrange(RESOURCES // 10):032x}"
        names = {
            "agent": (f"agent-{agent}",),
            "mandate": (f"mandate-{agent}-{number // 2_000}",),
            "person": (f"{chance.randrange(PEOPLE):064x}",),
            "use-case": (f"case-{agent % 20}",),
            "capability": (f"crm.read-{agent % 40}",),
            "server": (f"server-{agent % 10}",),
            "rule": ("all",),
            "kind": ("intent",),
            "decision": ("allow",),
            "outcome": ("open",),
            "action": (octets.hex(),),
            "key": (f"thumb-{agent}",),
            "subject": (subject,),
        }
        sealed = {"resource": (f"resource-{zipf(chance, RESOURCES)}",)}
        session: tuple[tuple[str, str], ...] = ()
        if chance.random() < 0.3:
            names |= {"lease": (lease_name(octets),), "target": ("pg-main",)}
            session = (("pg_session", f"6a.{number:x}"),)
        if chance.random() < 0.2:
            sealed["destination"] = (f"to-{chance.randrange(5_000)}@x.test",)
        amount = number % 999
        yield Facts(
            entry=entry,
            tag=Tag.INTENT,
            at=at,
            subject=subject,
            names=names,
            sealed=sealed,
            money=Money(amount),
        )
        yield Ended(intent=entry, entry=entry + 1, at=at, outcome="succeeded", session=session)


def written(index: SqliteSearchIndex, count: int) -> float:
    """CPU seconds to write all of it."""
    facts, before, spent = lived(count), START, 0.0
    while batch := [*islice(facts, BATCH)]:
        after = Position(before.entries + len(batch), f"{before.entries:064x}")
        start = time.process_time()
        index.apply(batch, before, after, at=batch[-1].at)
        spent += time.process_time() - start
        before = after
    return spent


@dataclass
class Told:
    """Real entries, as the end of a longer log. Implements ports.stored_log.LogSnapshot as far as stories need it."""

    entries: list[StoredEntry]
    first: int
    find: FindKey
    origin: str = "bench.test"

    @property
    def size(self) -> int:
        return self.first + len(self.entries)

    def entry(self, index: int) -> StoredEntry:
        return self.entries[index - self.first]

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        return map(self.entry, range(max(start, self.first), self.size))

    def facts(self) -> list[Facts | Ended]:
        found: list[Facts | Ended] = []
        for stored in self.replay():
            moment = opened_moment(stored, self.find)
            end = ended_of(stored, moment.leaf) if stored.tag in ENDS else None
            found.append(facts_of(stored, moment.leaf, moment.payload) if end is None else end)
        return found


def later(stored: StoredEntry, first: int) -> StoredEntry:
    """The same entry in a log that has so many entries before it."""
    leaf = leaf_of(stored)
    intent = leaf.get("intent")
    if stored.tag in ENDS and isinstance(intent, int):
        leaf["intent"] = intent + first
    return structs.replace(stored, index=stored.index + first, leaf=encode(leaf))


async def one_task(first: int) -> Told:
    """A task with a hundred actions, some of them refused and one approved, done by the real walk."""
    bench = await Bench().registered()
    await bench.issue("m-told", calls_max=STORY_ACTIONS)
    approval = (await bench.refund(7_000, mandate="m-told")).approval
    assert approval is not None
    await bench.answer(approval)
    await bench.refund(7_000, mandate="m-told")
    for number in range(STORY_ACTIONS - 1):
        with suppress(Refused):
            if number % 20:
                await bench.act(mandate="m-told", arguments={"case": f"case-{number}"})
            else:
                await bench.refund(2_000_000, mandate="m-told")
    entries = [later(one, first) for one in bench.recorder.ledger.replay()]
    return Told(entries, first, bench.recorder.subject_keys.find)


def told_story(index: SqliteSearchIndex) -> tuple[float, int]:
    """How long the story of one task takes, from the question to its sentences, and how many entries it has."""
    log = asyncio.run(one_task(index.position().entries))
    before = index.position()
    index.apply(log.facts(), before, Position(log.size, "ff"), at=BEGIN)
    teller = StoryTeller(index, log, log.find)
    asked = parsed_names(("m-told",), now=BEGIN)
    return fastest(lambda: len(story_answer("m-told", teller.story(asked, limit=1_000)).lines))


def searches(count: int) -> dict[str, tuple[str, ...]]:
    """What is asked, by name."""
    middle = count // 2
    moment = BEGIN + 10 * DAY // 2
    window = (f"since:{_rfc(moment)}", f"until:{_rfc(moment + DAY)}")
    lease = account_of(_lease_near(count, middle))
    return {
        "agent + a day": ("agent:agent-1", *window),
        "resource": ("resource:resource-3",),
        "session key": ("session:pg_session:" + _session_near(count, middle),),
        "lease": (f"lease:{lease}",),
        "a mandate": (f"mandate:mandate-1-{middle // 2_000}",),
        "agent + resource": ("agent:agent-1", "resource:resource-1"),
        "no such outcome": ("outcome:failed", "agent:agent-0"),
        "amount of an agent": ("agent:agent-2", "amount>990"),
        "server alone": ("server:server-3",),
    }


def _rfc(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at / 1000))


def _session_near(count: int, number: int) -> str:
    ends = (one for one in islice(lived(count), 2 * number, None) if isinstance(one, Ended) and one.session)
    return next(ends).session[0][1]


def _lease_near(count: int, number: int) -> LeaseName:
    return lease_name(int(_session_near(count, number).partition(".")[2], 16).to_bytes(16, "big"))


def fastest(ask: Callable[[], int]) -> tuple[float, int]:
    """Milliseconds of the fastest of some repeats, and how many hits there were."""
    best, hits = float("inf"), 0
    for _ in range(REPEATS):
        start = time.perf_counter()
        hits = ask()
        best = min(best, (time.perf_counter() - start) * 1000)
    return best, hits


def asked(index: SqliteSearchIndex, words: tuple[str, ...]) -> tuple[float, int]:
    """How long the index takes for the newest hits."""
    query = parsed_query(words, now=BEGIN)
    return fastest(lambda: len([*islice(index.candidates(query, None), PAGE)]))


def beside(count: int, folder: Path) -> dict[str, tuple[float, int]]:
    """The same rows in DuckDB; empty where it is not installed."""
    if importlib.util.find_spec("duckdb") is None:
        return {}
    duckdb: Any = importlib.import_module("duckdb")
    rows = folder / "rows.json"
    with rows.open("w") as file:
        facts = lived(count)
        for one in facts:
            end = next(facts)
            assert isinstance(one, Facts)
            assert isinstance(end, Ended)
            row: dict[str, object] = {name: values[0] for name, values in one.names.items()}
            row |= {name: values[0] for name, values in one.sealed.items()}
            row |= {"moment": one.at, "entry": one.entry, "amount": one.amount, "outcome": end.outcome}
            row |= {"session": end.session[0][1] if end.session else None}
            file.write(json.dumps(row) + "\n")
    connection = duckdb.connect(str(folder / "rows.duckdb"))
    connection.execute("SET threads = 2")
    connection.execute(f"CREATE TABLE a AS SELECT * FROM read_json('{rows}')")  # noqa: S608
    lease = _lease_near(count, count // 2)
    moment = BEGIN + 10 * DAY // 2
    where = {
        "agent + a day": f"agent = 'agent-1' AND moment >= {moment} AND moment < {moment + DAY}",
        "resource": "resource = 'resource-3'",
        "session key": f"session = '{_session_near(count, count // 2)}'",
        "lease": f"lease = '{lease}'",
        "a mandate": f"mandate = 'mandate-1-{count // 2 // 2_000}'",
        "agent + resource": "agent = 'agent-1' AND resource = 'resource-1'",
        "no such outcome": "outcome = 'failed' AND agent = 'agent-0'",
        "amount of an agent": "agent = 'agent-2' AND amount > 990",
        "server alone": "server = 'server-3'",
    }
    found = {}
    for name, condition in where.items():
        sql = f"SELECT entry FROM a WHERE {condition} ORDER BY moment DESC, entry DESC LIMIT {PAGE}"  # noqa: S608
        found[name] = fastest(partial(_rows, connection, sql))
    connection.close()
    return found


def _rows(connection: Any, sql: str) -> int:
    return len(connection.execute(sql).fetchall())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=ACTIONS)
    parser.add_argument("--calls", type=int, default=search_beside.CALLS, help="calls of a window; 0: none")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = SqliteSearchIndex.open(folder / "index", origin="bench.test", blind=BlindKey(b"k" * 32))
        micros = written(index, given.actions) / given.actions * 1e6
        found = {one: asked(index, words) for one, words in searches(given.actions).items()}
        found[STORY] = told_story(index)
        index.close()
        size = sum(one.stat().st_size for one in (folder / "index").iterdir()) / given.actions
        duck = beside(given.actions, folder)
    process = search_beside.measured(given.calls) if given.calls else []
    if given.json:
        figures = {"us_per_action": micros, "bytes_per_action": size, "ms": found, "duckdb_ms": duck}
        print(json.dumps({**figures, "process": process}))
        return
    print(f"{given.actions:,} actions: {micros:.0f} us CPU to write one (limit {MICROSECONDS_MAX}), ", end="")
    print(f"{size:.0f} bytes (limit {BYTES_MAX})")
    for one, (millis, hits) in found.items():
        limit = f" (limit {MILLISECONDS_MAX[one]})" if one in MILLISECONDS_MAX else ""
        other = f", DuckDB {duck[one][0]:.2f} ms, {duck[one][1]} hits" if one in duck else ""
        print(f"  {one}: {millis:.2f} ms{limit}, {hits} hits{other}")
    if not duck:
        print("  DuckDB is not installed: `pip install duckdb` puts it beside")
    for row in process:
        aim = f" (limit {row['aim']:g})" if row["aim"] is not None else ""
        print(f"  {row['what']}: {row['value']:.3f} {row['unit']}{aim}")


if __name__ == "__main__":
    main()
