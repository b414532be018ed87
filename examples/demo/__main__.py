"""The demo: four stories of a governed agent on real MCP servers, each claim checked. Run it with `./dev demo`.

With `--postgres` the first one happens in a real PostgreSQL, behind the broker.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import anyio
import ending
import found_token
import one_case_in_postgres
import one_case_only
import prepared_not_paid
import team_of_agents
from company import (
    AGENTS,
    COMMITS,
    INVOICES,
    PEOPLE,
    Home,
    SetUpError,
    add_support_database,
    found_company,
    new_home,
)
from database import Database, find_programs, support_database
from narrator import Narrator, UnexpectedError
from product import Product, Stream, running, shortened
from wire import Wire, listened_to

INTERRUPTED: Final = 130
TOOL_OWNERS: Final = {"crm": "ada", "payments": "dora", "volumes": "emil", "git": "emil", "sqlite": "dora"}
DATABASE_OWNER: Final = {"support-db": "ada", "accounts": "ada"}
"""With --postgres; two of the tools of each have a capability."""
TOOLS: Final = 13
"""Of the others, that capabilities stand for."""
DATABASE_TOOLS: Final = 4


def main() -> int:
    """Run the demo; 0 when every claim held."""
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="Govern a scripted agent on real MCP servers."
    )
    parser.add_argument("--interactive", action="store_true", help="wait for you to approve the payment")
    parser.add_argument(
        "--postgres",
        nargs="?",
        const="",
        metavar="DIR",
        help="tell the support story in a PostgreSQL of the demo's own; DIR: where its programs are",
    )
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="where to keep everything; else .dev/demo-data"
    )
    given = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    # A supervisor's way to stop us takes the same way out as Ctrl-C, so that everything that was started is ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell may have started us with it ignored.
    for stopping in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopping, lambda *_: signal.raise_signal(signal.SIGINT))
    narrator = Narrator()
    try:
        programs = find_programs(given.postgres) if given.postgres is not None else None
        home = new_home(given.home)
        anyio.run(demonstrate, home, narrator, given.interactive and sys.stdin.isatty(), programs)
    except BaseException as error:
        return told(cause_of(error), narrator)
    return 0


async def demonstrate(home: Home, narrator: Narrator, interactive: bool, programs: Path | None) -> None:
    """Everything in order. programs: PostgreSQL's, where it is to be used. Raises UnexpectedError, SetUpError."""
    started = time.monotonic()
    narrator.title("Answerable: one agent action governed end to end, on real MCP servers")
    await anyio.to_thread.run_sync(found_company, home)
    narrator.say(
        f"An example company, made just now in {shortened(str(home.path))}: {len(PEOPLE)} people and {len(AGENTS)} "
        f"agents with a key each, a git repository with {len(COMMITS)} commits, a database with {len(INVOICES)} "
        "invoices, a CRM, a payments ledger, a cloud account."
    )
    async with AsyncExitStack() as stack:
        place = await database_beside(stack, home, programs) if programs is not None else None
        narrator.command(f"export ANSWERABLE_DATA={shortened(str(home.path))}")
        narrator.command("answerable up")
        product = await stack.enter_async_context(running(home, narrator))
        await set_rules(product, database=place is not None)
        await approve_tools(product, TOOL_OWNERS | DATABASE_OWNER if place else TOOL_OWNERS)
        first = one_case_in_postgres.tell(product, *place) if place else one_case_only.tell(product)
        stories = [
            await first,
            await found_token.tell(product),
            await prepared_not_paid.tell(product, interactive=interactive),
            await team_of_agents.tell(product),
        ]
        await ending.tell(product, stories, payment=stories[2])
    narrator.title(f"Every claim held, {narrator.claims} of them, in {time.monotonic() - started:.1f} s.")
    data = Path(shortened(str(home.path)))
    narrator.say(
        "Two payments still wait for a person of finance. To look at them in a browser, start the product again, "
        "invite Chen in a second terminal, and open the address that is printed:"
    )
    for command in ending.console_commands(data):
        narrator.command(command)
    narrator.say("Try next:")
    for command in ending.next_commands(data):
        narrator.command(command)


async def database_beside(stack: AsyncExitStack, home: Home, programs: Path) -> tuple[Database, Wire]:
    """A PostgreSQL for the support cases, and a wire to it that somebody listens on. Raises SetUpError."""
    database = await stack.enter_async_context(support_database(programs))
    wire = await stack.enter_async_context(listened_to(database.port))
    add_support_database(home, port=wire.port, password=database.broker_password)
    return database, wire


async def set_rules(product: Product, *, database: bool) -> None:
    """Apply the registry documents, and say what they hold."""
    narrator, home = product.narrator, product.home
    done = await product.command("apply", "-f", str(home.registry), show=("err",))
    narrator.say(
        "Now in force: who the people and agents are, what agents can do at all and who answers for it, which tasks "
        "can be given, and the policy. Five MCP servers stand behind the gateway, two of them (mcp-server-git and "
        "mcp-server-sqlite) written by others" + (", and a broker with a database." if database else ".")
    )
    registered = {line.split()[-1].partition("/")[0] for line in done.out}
    wanted = {
        "Principal",
        "UseCase",
        "Agent",
        "Server",
        "Capability",
        "MandateTemplate",
        "PolicySet",
        "StopRule",
    }
    narrator.expect(registered == wanted, "all eight kinds of document are in force", happened=done.out)


async def approve_tools(product: Product, owners: Mapping[str, str]) -> None:
    """Have the owners look at what the servers say of their tools: until then none is let through."""
    narrator = product.narrator
    await product.upstreams_up(owners)
    tools = [(await product.get(f"/v1/servers/{server}/tools"))["items"] for server in owners]
    blocked = [one["name"] for listed in tools for one in listed if one["blocked"]]
    expected = TOOLS + (DATABASE_TOOLS if "support-db" in owners else 0)
    narrator.expect(
        len(blocked) == expected, "no tool is let through before its owner has seen it", happened=blocked
    )
    for server, owner in owners.items():
        key = str(product.home.key(owner))
        shown: tuple[Stream, ...] = ("err",) if server == "crm" else ()
        await product.command("tool", "approve", server, "--key", key, "--yes", show=shown)
    narrator.say(
        "Models act on what a tool says of itself. Each owner has now signed what their servers say; a tool that says "
        "anything else one day is blocked until its owner has seen the difference."
    )


def cause_of(error: BaseException) -> BaseException:
    """What really happened, out of the groups that concurrent work wraps it in; what we can explain comes first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [cause_of(one) for one in error.exceptions]
    explained = [one for one in causes if isinstance(one, UnexpectedError | SetUpError)]
    return (explained or causes)[0]


def told(cause: BaseException, narrator: Narrator) -> int:
    """Say what happened; returns the exit code. Raises what nobody here can explain."""
    match cause:
        case UnexpectedError():
            narrator.fault("The demo failed: the product did something else than the demo says.")
            narrator.fault(f"expected: {cause.expected}")
            narrator.fault(f"happened: {cause.happened}")
            return 1
        case SetUpError():
            narrator.fault(f"demo: {cause}")
            return 1
        case KeyboardInterrupt():
            narrator.fault("interrupted; everything that was started is stopped")
            return INTERRUPTED
    raise cause


if __name__ == "__main__":
    sys.exit(main())
