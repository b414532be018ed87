"""Claims about `stop` and `hold`, each run through the whole command line against the whole control API in process."""

from __future__ import annotations

import errno
import json
from functools import partial
from typing import Any

import anyio
import pytest

from answerable.apps.control_api import hold_operations
from answerable.client import hold_calls
from answerable.core.containment.hold import EVERYTHING, holdable
from answerable.errors import Unavailable
from answerable.flows.drills.report_containment import report_containment
from answerable.flows.revocation.place_hold import place_hold
from tests.unit.apps.cli.test_commands import (
    Command,
    applied,
    command,
    deferred,
    edited,
    issued,
    product,
    world,
)
from tests.worlds.control import Product, World, asked
from tests.worlds.parts import to_hold

__all__ = ["applied", "command", "product", "world"]


def stopped(command: Command, *arguments: str) -> dict[str, Any]:
    found = json.loads(command("stop", *arguments, "--json").stdout)
    assert isinstance(found, dict)
    return found


def lift(command: Command, world: World, hold: str, person: str, *, code: int = 0) -> Any:
    key = str(world.key(person))
    return command(
        "hold", "lift", hold, "--as", person, "--key", key, "--reason", "looked at it", "--yes", code=code
    )


@pytest.mark.requirement("STOP-01", "STOP-03")
def test_a_stop_of_an_agent_needs_its_name_alone_and_says_what_it_stopped(
    applied: Command, world: World, product: Product
) -> None:
    mandate = issued(applied, world)
    anyio.run(partial(asked, product, "case_read", "4711", mandate))
    approval = deferred(product, mandate)
    told = stopped(applied, "support-agent", "--reason", "it deletes mail")
    assert (told["hold"]["kind"], told["hold"]["name"], told["new"]) == ("agent", "support-agent", True)
    report = told["report"]
    assert report["complete"]
    assert report["stopped"]["approvals"] == [approval]
    assert report["stopped"]["mandates"] == [mandate]
    assert (report["in_flight_count"], report["started_after_count"], report["live_count"]) == (0, 0, 0)
    assert report["last_effect"]["capability"] == "crm.read"
    assert report["last_effect"]["entry"] < report["entry"]
    assert report["done_count"] == {"not_reversible": 0, "reversible": 0, "read": 1}
    again = applied("stop", "support-agent")
    assert "is already held" in again.stderr
    assert f"stopped   approval {approval}: denied" in again.stdout
    assert "none, 0 of" not in again.stdout


@pytest.mark.requirement("STOP-01")
@pytest.mark.parametrize(
    ("name", "kind", "called"),
    [
        ("crm", "server", "crm"),
        ("crm/case_delete", "tool", "crm/case_delete"),
        ("crm.delete", "capability", "crm.delete"),
        ("ada", "owner", "ada"),
        ("production", "environment", "production"),
        ("everything", "everything", ""),
        (
            "spiffe://example.org/agent/support-agent/1",
            "instance",
            "spiffe://example.org/agent/support-agent/1",
        ),
    ],
)
def test_a_name_is_found_whatever_has_it(applied: Command, name: str, kind: str, called: str) -> None:
    hold = stopped(applied, name)["hold"]
    assert (hold["kind"], hold["name"]) == (kind, called)


@pytest.mark.requirement("STOP-01")
def test_a_mandate_is_found_by_its_id(applied: Command, world: World) -> None:
    mandate = issued(applied, world)
    assert stopped(applied, mandate)["hold"]["kind"] == "mandate"


@pytest.mark.requirement("STOP-01")
def test_a_name_of_several_things_stops_none_and_is_answered_with_the_command_for_each(
    applied: Command, world: World
) -> None:
    applied("apply", "-f", edited(world, "spec: {command: sh}", "spec: {command: sh, vendor: crm}"))
    told = applied("stop", "crm", code=3).stderr
    assert "answerable stop --kind server crm" in told
    assert "answerable stop --kind vendor crm" in told
    assert json.loads(applied("hold", "list", "--json").stdout) == []
    assert stopped(applied, "crm", "--kind", "vendor")["hold"]["kind"] == "vendor"


@pytest.mark.requirement("STOP-01")
def test_what_nothing_is_called_stops_nothing_unless_its_kind_is_said(applied: Command) -> None:
    assert "nothing is registered as `rover`" in applied("stop", "rover", code=1).stderr
    assert stopped(applied, "rover", "--kind", "agent")["hold"]["name"] == "rover"
    assert "cannot be held" in applied("stop", "rover", "--kind", "robot", code=1).stderr


@pytest.mark.requirement("STOP-01")
@pytest.mark.parametrize(
    "words",
    [("agent", "support-agent"), ("agent:support-agent",), ("support-agent", "--yes"), ("vendor:rover",)],
)
def test_in_a_hurry_a_kind_may_stand_before_the_name_and_a_yes_after_it(
    applied: Command, words: tuple[str, ...]
) -> None:
    hold = stopped(applied, *words)["hold"]
    assert (hold["kind"], hold["name"]) in (("agent", "support-agent"), ("vendor", "rover"))


@pytest.mark.requirement("STOP-01")
@pytest.mark.parametrize(
    "words",
    [("crm", "support-agent"), ("robot", "crm"), ("agent", "crm", "x"), ("agent", "crm", "--kind", "server")],
)
def test_words_that_name_no_one_thing_stop_none_of_them(applied: Command, words: tuple[str, ...]) -> None:
    assert "nothing was stopped" in applied("stop", *words, code=2).stderr
    assert "nothing is registered as `robot:crm`" in applied("stop", "robot:crm", code=1).stderr
    assert json.loads(applied("hold", "list", "--json").stdout) == []


@pytest.mark.requirement("STOP-02")
def test_a_hold_for_a_while_says_its_end_and_a_time_without_a_unit_is_refused(applied: Command) -> None:
    hold = stopped(applied, "crm", "--for", "2h")["hold"]
    assert hold["expires_at"] > hold["at"]
    for wrong in ("2", "2 h", "0h", "-1h", "soon", "2w"):
        assert "expected a number with its unit" in applied("stop", "crm", "--for", wrong, code=2).stderr


@pytest.mark.requirement("STOP-02")
def test_two_persons_lift_what_a_user_of_the_machine_placed_and_what_was_denied_stays_denied(
    applied: Command, world: World, product: Product
) -> None:
    mandate = issued(applied, world)
    approval = deferred(product, mandate)
    hold = stopped(applied, "support-agent")["hold"]["id"]
    first = lift(applied, world, hold, "bela", code=4)
    assert "1 more signature(s) needed to lift it" in first.stderr
    assert "you have already agreed to lift this hold" in lift(applied, world, hold, "bela", code=3).stderr
    assert "may act again" in lift(applied, world, hold, "chen").stderr
    assert "has been lifted already" in lift(applied, world, hold, "ada", code=3).stderr
    assert json.loads(applied("hold", "list", "--json").stdout) == []
    [listed] = json.loads(applied("hold", "list", "--all", "--json").stdout)
    assert (listed["state"], [one["by"] for one in listed["agreed"]]) == ("lifted", ["bela", "chen"])
    assert json.loads(applied("approval", "show", approval, "--json").stdout)["state"] == "denied"
    assert anyio.run(partial(asked, product, "case_read", "4711", mandate)).outcome is not None


@pytest.mark.requirement("STOP-02")
def test_who_lifts_one_of_several_holds_is_told_that_others_stand(applied: Command, world: World) -> None:
    hold = stopped(applied, "support-agent")["hold"]["id"]
    stopped(applied, "everything")
    lift(applied, world, hold, "bela", code=4)
    said = lift(applied, world, hold, "chen").stderr
    assert "may act again" not in said
    assert "lifted: the hold of agent `support-agent`" in said
    assert "1 other hold(s) are in force" in said


@pytest.mark.requirement("STOP-02")
def test_whoever_placed_it_as_a_person_does_not_lift_it_and_one_other_does(
    applied: Command, world: World, product: Product
) -> None:
    placed = anyio.run(partial(place_hold, *to_hold(product.walk), holdable("server", "crm"), by="ada"))
    assert "you placed this hold" in lift(applied, world, placed.hold.id, "ada", code=3).stderr
    lift(applied, world, placed.hold.id, "bela")


@pytest.mark.requirement("STOP-02")
def test_what_the_server_says_of_another_hold_than_it_shows_is_not_signed(
    applied: Command, world: World, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = stopped(applied, "crm")["hold"]["id"]
    real = product.walk.authority.holds.get

    class Lying:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return "0" * 64 if name == "digest" else getattr(self._inner, name)

    monkeypatch.setattr(product.walk.authority.holds, "get", lambda one: Lying(real(one)))
    told = lift(applied, world, hold, "bela", code=3)
    assert "nothing was signed" in told.stderr
    monkeypatch.undo()
    assert real(hold).agreed == ()


@pytest.mark.requirement("STOP-02")
def test_a_hold_is_shown_with_its_report_and_one_that_is_none_is_not_found(applied: Command) -> None:
    hold = stopped(applied, "crm", "--reason", "drill")["hold"]["id"]
    shown = applied("hold", "show", hold).stdout
    for part in (
        hold,
        "in_force",
        "server `crm`",
        "drill",
        "2 person(s)",
        "last effect",
        "nothing is still live",
    ):
        assert part in shown + applied("hold", "show", hold).stderr
    assert json.loads(applied("hold", "show", hold, "--json").stdout)["report"]["complete"]
    assert "there is no hold" in applied("hold", "show", "hold_x", code=1).stderr


@pytest.mark.requirement("STOP-06", "STOP-07")
def test_a_second_press_without_a_server_says_that_there_was_one_and_asks_nothing(command: Command) -> None:
    told = json.loads(command("panic", "--json").stdout)
    assert (told["how"], told["again"], told["hold"], told["standing"]) == ("written", False, None, None)
    again = command("panic", "--yes")
    assert "no server has answered" in again.stderr
    assert "it had been pressed before: each press that became a hold is lifted by itself" in again.stderr


@pytest.mark.requirement("STOP-13")
def test_a_press_that_lost_its_reason_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(command("panic", "--reason", "the keys are out", "--json").stdout)
    assert told["reason_recorded"] is True

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("answerable.adapters.panic_file.file._put", full)
    assert "the reason is not recorded" in command("panic", "--reason", "the keys are out").stderr
    told = json.loads(command("panic", "--reason", "the keys are out", "--json").stdout)
    assert (told["how"], told["reason_recorded"]) == ("written empty", False)
    assert "the reason" not in command("panic").stderr


@pytest.mark.requirement("STOP-07")
def test_whoever_presses_under_an_earlier_press_is_told_of_it(
    applied: Command, product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    import answerable.apps.cli.panic as door

    anyio.run(
        partial(place_hold, *to_hold(product.walk), EVERYTHING, by="uid:0", source="panic", rule="earlier")
    )

    def server(shell: Any, press: str) -> Any:
        anyio.run(
            partial(place_hold, *to_hold(product.walk), EVERYTHING, by="uid:1000", source="panic", rule=press)
        )
        held = [{"id": one.id, "at": one.at, "rule": one.rule} for one in product.walk.authority.holds.all()]
        return door._Seen(hold=held[0], standing=tuple(held[1:]))

    monkeypatch.setattr(door, "_seen", server)
    told = applied("panic")
    now, earlier = list(product.walk.authority.holds.all())
    assert f"answerable hold lift {now.id}" in told.stderr
    assert "everything was already held by an earlier panic" in told.stderr
    assert earlier.id in told.stderr


@pytest.mark.requirement("NEIGHBOUR-10", "NEIGHBOUR-11")
def test_a_stop_answers_before_its_report_is_ready_and_holds_when_nobody_tells_what_came_of_it(
    applied: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = anyio.Event()

    async def slow(*arguments: Any, **named: Any) -> Any:
        await ready.wait()
        return await report_containment(*arguments, **named)

    monkeypatch.setattr(hold_operations, "FIRST_REPORT_SECONDS_MAX", 0.05)
    monkeypatch.setattr(hold_operations, "report_containment", slow)

    def silent(_: Any, hold: str, *, seconds_max: float) -> Any:
        raise Unavailable(f"{hold} in {seconds_max:g} s", code="control.no_answer", port="control")

    monkeypatch.setattr(hold_calls, "show_containment", silent)
    done = applied("stop", "support-agent")
    assert "agent `support-agent` is held since" in done.stderr
    assert "it is held, but its report cannot be read now" in done.stderr
    assert "answerable hold lift" in done.stderr
    monkeypatch.undo()
    [hold] = json.loads(applied("hold", "list", "--json").stdout)
    assert json.loads(applied("hold", "show", hold["id"], "--json").stdout)["report"]["complete"]
