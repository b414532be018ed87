"""The two database servers side by side, for claims that both keep: a claim is told once, and here what differs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import pytest

from answerable.core.canonical import JSONValue
from answerable.core.lease.credential import LeaseOrder
from tests.stand_ins import mariadb_server, postgres_server
from tests.worlds import mariadb, postgres
from tests.worlds.sql_bench import table

TAG: Final = "aaaaaaaaaaaaaaaaaaaaaaaaae"


@dataclass(frozen=True, kw_only=True)
class Database:
    """name: of the kind of target, and of the case of a test. world: the shop on it. home: the database that leases are
    for. customers, cases: tables, as scopes and statements of an agent name them. value, text: how a statement names
    its first value, and where it is a text."""

    name: str
    world: ModuleType
    broker_password: str
    owner_password: str
    home: str
    customers: str
    cases: str
    value: str
    text: str

    def reading(self, **changed: Any) -> Any:
        """The scope that reads customers."""
        tables = [table(self.customers, "select")]
        return self.world.scope(**{"tables": tables, "rowsMax": 60, **changed})

    def writing(self, **changed: Any) -> Any:
        """The scope that changes cases, and ends customers."""
        tables = [
            table(self.cases, "select", "insert", "update", "delete"),
            table(self.customers, "select", "insert", "delete"),
        ]
        return self.world.scope(**{"tables": tables, "rowsMax": 60, **changed})


POSTGRES: Final = Database(
    name="postgres",
    world=postgres,
    broker_password=postgres_server.BROKER_PASSWORD,
    owner_password=postgres_server.OWNER_PASSWORD,
    home="prod",
    customers="public.customers",
    cases="public.support_messages",
    value="$1",
    text="$1::text",
)
MARIADB: Final = Database(
    name="mariadb",
    world=mariadb,
    broker_password=mariadb_server.BROKER_PASSWORD,
    owner_password=mariadb_server.OWNER_PASSWORD,
    home="shop",
    customers="customers",
    cases="cases",
    value="?",
    text="?",
)


def on_each(
    *,
    postgres: pytest.MarkDecorator,
    mariadb: pytest.MarkDecorator,
    names: Sequence[str] = (),
    cases: Mapping[str, Sequence[tuple[object, ...]]] | None = None,
) -> pytest.MarkDecorator:
    """Runs a test on both, as parameter `database`, with the requirement that it proves of each; or in each one's
    cases, whose parameters have these names."""
    return pytest.mark.parametrize(
        ("database", *names),
        [
            pytest.param(database, *case, id="-".join([database.name, *map(str, number)]), marks=mark)
            for database, mark in ((POSTGRES, postgres), (MARIADB, mariadb))
            for case, *number in (
                [((),)] if cases is None else [(case, at) for at, case in enumerate(cases[database.name])]
            )
        ],
    )


@contextmanager
def servers() -> Iterator[Callable[[Database], Any]]:
    """Servers with the shop on them, each from when it is first asked for until the end."""
    running: dict[str, Any] = {}
    with ExitStack() as ends:

        def server_of(database: Database) -> Any:
            if database.name not in running:
                running[database.name] = ends.enter_context(database.world.furnished_server())
            return running[database.name]

        yield server_of


@asynccontextmanager
async def session(bench: Any, order: LeaseOrder) -> AsyncIterator[Any]:
    """A session of a new lease."""
    credential = await bench.issuer.issue(order)
    async with bench.target.connected(credential) as opened:
        yield opened


async def ask(opened: Any, tool: str, sql: str, *parameters: JSONValue, tag: str = TAG) -> Any:
    """What a statement of an agent came to, which can be told as JSON."""
    done = await opened.perform(tool, {"sql": sql, "parameters": list(parameters)}, tag=tag, seconds_max=5)
    json.dumps(done.result)
    return done


def said(done: Any) -> str:
    return str(done.result["content"][0]["text"])


def rows(done: Any) -> Any:
    assert not done.result["isError"], said(done)
    return done.result["structuredContent"]["rows"]
