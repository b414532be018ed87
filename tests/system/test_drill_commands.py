"""Drills as people run them: the whole product on a data directory, with a server and without."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.worlds.shard_house import made_house

pytestmark = pytest.mark.requirement("DRILL-02", "DRILL-03")


def test_a_tier_is_raised_by_three_drills_and_a_lost_register_does_not_lose_them():
    with made_house() as house:
        registry = house.world.registry / "registry.yaml"
        text = registry.read_text()
        registry.write_text(text.replace("  unixUids:", "  tier: 0\n  unixUids:"))
        told = house.command("a", "apply", "--yes", "-f", str(registry))
        # What is new could not be drilled yet: nobody is told to.
        assert "drill" not in told.stderr
        first = text.replace("  unixUids:", "  tier: 1\n  unixUids:")
        registry.write_text(first)
        told = house.command("a", "apply", "--yes", "-f", str(registry))
        assert "raised without drills: agent support-agent from tier 0 to 1" in told.stderr
        settings = house.data / "a.toml"
        settings.write_text(settings.read_text() + '[containment]\ndrills = "required"\n')
        registry.write_text(text.replace("  unixUids:", "  tier: 2\n  unixUids:"))
        refused = house.command("a", "apply", "--yes", "-f", str(registry), code=3)
        assert "`answerable drill stop support-agent --kind agent`" in refused.stderr
        with house.up("a"):
            for kind in ("stop", "revocation"):
                found = json.loads(house.command("a", "drill", kind, "support-agent", "--json").stdout)
                assert (found["passed"], found["faults"]) == (True, [])
            assert {one["what"] for one in found["took"]} >= {"last_action_started", "instance_ended"}
        shown = house.command("a", "drill", "trace", "support-agent", "--kind", "agent")
        assert "trace drill of agent support-agent: passed" in shown.stderr
        with sqlite3.connect(house.data / "answerable.db") as database:
            database.execute("DELETE FROM drills")
            # As an older copy of the registers would be.
            database.execute("DELETE FROM calls_counted")
        listed = json.loads(house.command("a", "drill", "list", "--json").stdout)
        assert [one["drill"] for one in listed] == ["trace", "revocation", "stop"]
        house.command("a", "apply", "--yes", "-f", str(registry))
        shown = house.command("a", "drill", "stop", "nobody", code=1)
        assert "no agent or capability" in shown.stderr
