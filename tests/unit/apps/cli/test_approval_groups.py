"""Groups in the terminal: the odd ones first, what differs in columns, and one signature over what is shown."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from answerable.apps.control_api.application import control_app
from answerable.core.approval.card import card_of
from answerable.core.identity.names.principal import PrincipalId
from answerable.flows.validity.group_waiting import group_named
from tests.probes.typed_lines import typed
from tests.worlds.alike import payment
from tests.worlds.control import Product, World, made_world, memory_product
from tests.worlds.control_approvals import alike_waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Command = Callable[..., Any]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = made_world(tmp_path)
    made.data.mkdir(mode=0o700)
    return made


@pytest.fixture
def product() -> Product:
    return memory_product()


@pytest.fixture
def command(world: World, product: Product) -> Command:
    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield control_app(product)

    def run(*arguments: str, code: int = 0) -> Any:
        result = typed(offline, [*arguments, "--data", str(world.data)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    run("apply", "-f", str(world.registry))
    return run


@pytest.fixture
def mandate(command: Command, world: World) -> str:
    key = str(world.key("ada"))
    issue = ("mandate", "issue", "one-case", "--as", "ada", "--key", key, "--set", "case=4711", "--yes")
    return str(command(*issue).stdout.strip())


def states(product: Product) -> list[str]:
    return sorted(
        one.state
        for one in product.walk.authority.approvals.all(pending_only=False, now=product.walk.clock.now())
    )


def test_a_group_shows_the_odd_one_first_and_one_signature_answers_the_others(
    command: Command, world: World, product: Product, mandate: str
) -> None:
    waiting = alike_waiting(product, mandate, 8, n5="Mallory Ltd")
    listed = command("approval", "list", "--grouped").stdout
    assert "Mallory" in listed
    (group,) = json.loads(command("approval", "list", "--grouped", "--json").stdout)
    assert (group["alike_count"], group["odd_count"]) == (7, 1)
    told = command("approval", "show", group["id"], "--group").stdout
    assert told.index(waiting[5].id) < told.index(waiting[0].id)
    assert "where the others have" in told
    assert "INV-0007" in told
    assert len(json.loads(command("approval", "show", group["id"], "--group", "--json").stdout)["alike"]) == 7
    key = str(world.key("bela"))
    answer = ("approval", "approve", group["id"], "--group", "--as", "bela", "--key", key)
    command(*answer, code=1)
    assert states(product) == ["pending"] * 8
    done = command(*answer, "--yes")
    assert "answered 7 with one signature" in done.stderr
    assert states(product) == ["approved"] * 7 + ["pending"]
    command("approval", "show", group["id"], "--group", code=1)


def test_a_group_is_denied_at_once_and_what_is_left_out_is_named(
    command: Command, world: World, product: Product, mandate: str
) -> None:
    waiting = alike_waiting(product, mandate, 4)
    own = [replace(one, principal=PrincipalId("bela")) for one in waiting[:1]]
    product.walk.authority.approvals.replace(own[0], was=waiting[0])
    (group,) = json.loads(command("approval", "list", "--grouped", "--json").stdout)
    bela = ("--as", "bela", "--key", str(world.key("bela")), "--yes")
    some = command("approval", "approve", group["id"], "--group", *bela, code=4)
    assert f"left out {waiting[0].id}: you issued the mandate" in some.stderr
    assert states(product) == ["approved"] * 3 + ["pending"]
    alike_waiting(product, mandate, 3, first=100)
    (group,) = json.loads(command("approval", "list", "--grouped", "--json").stdout)
    chen = ("--as", "chen", "--key", str(world.key("chen")), "--yes", "--comment", "one task each")
    command("approval", "deny", group["id"], "--group", *chen)
    assert "denied" in states(product)
    assert "pending" not in states(product)


def test_a_server_that_calls_alike_what_is_not_gets_no_signature(
    command: Command, world: World, product: Product, mandate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike_waiting(product, mandate, 6, n2="Mallory Ltd", n4="Mallory Ltd")
    from answerable.apps.control_api import group_operations

    def lying(*given: Any) -> Any:
        found = group_named(*given)
        return replace(
            found,
            alike=found.all,
            odd=(),
            not_together="",
            differs=(),
            features=dict.fromkeys([one.id for one in found.all], next(iter(found.features.values()))),
        )

    monkeypatch.setattr(group_operations, "group_named", lying)
    (group,) = json.loads(command("approval", "list", "--grouped", "--json").stdout)
    told = command(
        "approval",
        "approve",
        group["id"],
        "--group",
        "--as",
        "bela",
        "--key",
        str(world.key("bela")),
        "--yes",
        code=3,
    )
    assert "sign nothing" in told.stderr
    assert states(product) == ["pending"] * 6


def test_what_is_shown_for_an_item_must_be_what_would_run(
    command: Command, world: World, product: Product, mandate: str
) -> None:
    waiting = alike_waiting(product, mandate, 3)
    other = payment(900)
    product.walk.authority.approvals.replace(replace(waiting[1], card=card_of(other.shown)), was=waiting[1])
    (group,) = json.loads(command("approval", "list", "--grouped", "--json").stdout)
    told = command("approval", "show", group["id"], "--group", code=3)
    assert "sign nothing" in told.stderr


def test_where_all_go_to_different_places_the_terminal_says_so_and_signs_no_yes(
    command: Command, world: World, product: Product, mandate: str
) -> None:
    alike_waiting(product, mandate, 4, **{f"n{number}": f"payee {number}" for number in range(4)})
    (group,) = json.loads(command("approval", "list", "--grouped", "--json").stdout)
    assert (
        "answered one by one: they do not all go"
        in command("approval", "show", group["id"], "--group").stdout
    )
    told = command(
        "approval",
        "approve",
        group["id"],
        "--group",
        "--as",
        "bela",
        "--key",
        str(world.key("bela")),
        "--yes",
        code=3,
    )
    assert "payee" in told.stderr
    assert command("approval", "list", "--grouped").exit_code == 0
