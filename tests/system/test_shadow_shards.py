"""A policy set in the shadow of several processes: what each would have decided is told by any, and who is missing is
named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.worlds.shard_house import House, environment, made_house, until

POLICY = """\
apiVersion: answerable/v1
kind: PolicySet
metadata: {name: none}
spec:
  policies: |
    @id("none")
    forbid (principal, action, resource);
"""


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        made.without_witness()
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


def shadow(house: House, shard: str, verb: str, *, code: int = 0) -> dict[str, Any]:
    found = json.loads(house.command(shard, "policy", "shadow", verb, "--json", code=code).stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.requirement("PUB-14")
def test_what_a_shadow_would_decide_is_counted_for_all_shards_and_a_missing_one_is_named(
    house: House,
) -> None:
    file = house.world.root / "none.yaml"
    file.write_text(POLICY)
    with house.up("a") as a:
        here = house.issue("a")
        with house.up("b"):
            there = house.issue("b")
        house.command("a", "policy", "shadow", "start", str(file))
        a.acted(here)
        until(lambda: shadow(house, "a", "status", code=6)["asked"] == 1, "what a decided")
        assert shadow(house, "a", "status", code=6)["not_counted"] == ["b"]
        assert "without shard b" in house.command("a", "policy", "shadow", "status", code=6).stderr
        with house.up("b") as b:
            until(lambda: missing(house, "a") == [], "b to compare, although it decides nothing")
            b.acted(there)
            b.acted(there)
            for shard in "ab":
                until(partial(has_asked, house, shard, 3), "what both decided")
            found = shadow(house, "a", "status")
            assert found["changes"] == {"allow→deny": 3}
            assert sorted(one["shard"] for one in found["differences"]) == ["", "b", "b"]
            assert "b/" in house.command("a", "policy", "shadow", "status").stdout
        # What it counted is kept while it does not run.
        stopped = shadow(house, "a", "stop")
        assert (stopped["asked"], stopped["not_counted"]) == (3, [])


def has_asked(house: House, shard: str, count: int) -> bool:
    return bool(shadow(house, shard, "status")["asked"] == count)


def missing(house: House, shard: str) -> list[str]:
    line = house.line(shard, "policy", "shadow", "status", "--json")
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)
    found = json.loads(done.stdout)["not_counted"]
    assert isinstance(found, list)
    assert done.returncode == (6 if found else 0), done.stderr
    return found
