"""A whole product that is killed between two steps of a duty: what was told stays told, what is due is told once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.ledger.tags import Tag
from tests.system.test_approval_faults import asked, house
from tests.worlds.shard_house import House, leaves, until

__all__ = ["house"]

DUTY = """\
apiVersion: answerable/v1
kind: Duty
metadata: {name: support-leads}
spec:
  group: support-leads
  timeZone: Europe/Berlin
  shifts: [{people: [chen]}]
  escalation:
    - {afterSeconds: 1, ask: second}
    - {afterSeconds: 2, ask: owner}
"""


def told(house: House, approval: str) -> list[int]:
    found: Any = json.loads(house.command("a", "duty", "route", approval, "--json").stdout)
    return [one["step"] for one in found["told"]]


@pytest.mark.slow
@pytest.mark.requirement("DUTY-04", "DUTY-05")
def test_a_product_that_is_killed_between_steps_tells_each_once_and_keeps_who_stands_in(house: House) -> None:
    (house.world.registry / "duty.yaml").write_text(DUTY)
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a:
        waiting = asked(a, house.issue("a"))
        until(lambda: 0 in told(house, waiting), "the first to be told")
        key = ("--as", "chen", "--key", str(house.world.key("chen")), "--reason", "away", "--yes")
        house.command("a", "duty", "delegate", "support-leads", "--to", "bela", "--until", "1d", *key)
        a.killed()
    with house.up("a"):
        until(lambda: told(house, waiting) == [0, 1, 2], "all steps")
        (one,) = json.loads(house.command("a", "duty", "list", "--json").stdout)
        assert (one["of"], one["to"], one["counts"]) == ("chen", "bela", True)
    found = leaves(PublishedFiles(house.data / "ledger/shards" / "a"))
    steps = [leaf["step"] for leaf in found if leaf["tag"] == Tag.APPROVAL_ESCALATED]
    assert steps == [1, 2]
    assert [leaf["change"] for leaf in found if leaf["tag"] == Tag.DUTY] == ["given"]
