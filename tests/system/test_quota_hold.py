"""A real `up`: who loops on a spent budget is held where people look, under that mandate alone, across a kill."""

from __future__ import annotations

import json

import pytest

from tests.system.test_approval_faults import has_run
from tests.worlds.shard_house import House, Shard, made_house, until


def serving(house: House) -> None:
    """Each refusal while the upstream is not there yet would count."""
    until(lambda: " up" in house.command("a", "server", "list").stdout, "the upstream")


def spent(house: House, a: Shard) -> str:
    """A mandate whose calls are used up, and refused until its agent is past the quota."""
    serving(house)
    mandate = house.issue("a")
    until(lambda: "budget" in str(a.call(mandate)), "the end of the budget")
    until(lambda: "held.mandate" in str(a.call(mandate)), "the end of the quota")
    return mandate


@pytest.mark.requirement("FULLDISK-07")
def test_a_loop_on_a_spent_budget_holds_that_mandate_where_people_look_also_after_a_kill():
    with made_house() as house:
        house.without_witness()
        config = house.data / "a.toml"
        config.write_text(config.read_text().replace("[walk]\n", "[walk]\nrefusals_recorded_max = 20\n"))
        house.command("a", "apply", "-f", str(house.world.registry))
        with house.up("a") as a:
            mandate = spent(house, a)
            other = house.issue("a")
            until(lambda: has_run(a.call(other)), "the other mandate of the agent")
            for command in (("hold", "list"), ("agent", "show", "support-agent")):
                said = house.command("a", *command).stdout
                assert mandate in said, said
                assert other not in said
            [hold] = json.loads(house.command("a", "hold", "list", "--json").stdout)
            a.killed()
        with house.up("a") as a:
            serving(house)
            assert has_run(a.call(other))
            assert "held.mandate" in str(a.call(mandate))
            assert json.loads(house.command("a", "hold", "list", "--json").stdout) == [hold]
