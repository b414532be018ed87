"""What commands tell beside what the rest of the product says: the same codes, statuses and names."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import pytest

from answerable.core.identity.proof.door_refusal import Sender
from answerable.errors import Unverified
from answerable.flows.counters.door_desk import DoorDesk, record_door_refusals
from answerable.flows.state.known_callers import KnownCallers
from answerable.main.commands import application
from tests.unit.apps.cli.test_commands import Command, applied, command, issued, product, world
from tests.worlds.control import Product, World
from tests.worlds.parts import to_refuse
from tests.worlds.proof import unix

__all__ = ["applied", "command", "product", "world"]


@pytest.mark.requirement("SAME-24")
def test_every_argument_of_a_command_has_a_name_where_its_usage_is_told():
    def arguments(one: Any, path: str) -> list[tuple[str, str | None]]:
        own = [(path, each.metavar) for each in one.params if each.param_type_name == "argument"]
        below = getattr(one, "commands", {}).items()
        return own + [found for name, each in below for found in arguments(each, f"{path} {name}")]

    found = arguments(application(), "answerable")
    assert found
    assert [path for path, named in found if not named] == []


@pytest.mark.requirement("SAME-23")
def test_why_tells_a_message_that_a_door_refused_by_the_code_of_the_door_and_of_could(
    applied: Command, product: Product
) -> None:
    applied("agent", "suspend", "support-agent", "--yes")
    (told,) = json.loads(applied("could", "support-agent", "crm.read", "--json").stdout)["agents"]
    assert (told["effect"], told["by"]) == ("deny", ["agent.inactive"])
    (can,) = json.loads(applied("can", "crm.read", "--json").stdout)["agents"]
    assert can == told
    known = KnownCallers(registry=product.walk.authority.registry)
    with pytest.raises(Unverified) as refused:
        known.by_channel(unix(0), product.walk.clock.now())
    DoorDesk(**to_refuse(product.walk), known=known).refused("mcp", refused.value, Sender(channel=unix(0)))
    anyio.run(
        partial(
            record_door_refusals,
            product.walk.recorder,
            product.walk.authority.registry,
            product.walk.counters,
            closing=True,
        )
    )
    index = str(product.walk.recorder.ledger.size - 1)
    (why,) = json.loads(applied("why", index, "--json").stdout)["explained"]
    assert (why["effect"], why["reasons"]) == ("deny", ["agent.inactive"])
    assert "at door mcp" in applied("why", index).stdout


def test_a_mandate_is_shown_with_the_state_and_the_people_that_its_json_has(
    applied: Command, world: World
) -> None:
    mandate = issued(applied, world)
    for state in ("open", "closed"):
        said = json.loads(applied("mandate", "show", mandate, "--json").stdout)
        rows = dict(
            line.split(maxsplit=1) for line in applied("mandate", "show", mandate).stdout.splitlines()
        )
        names = ("id", "state", "agent", "principal")
        assert said["state"] == state
        assert [rows[name].split()[0] for name in names] == [said[name] for name in names]
        applied("mandate", "close", mandate, "--yes")
