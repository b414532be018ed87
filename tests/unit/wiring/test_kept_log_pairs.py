"""Of two logs of one target, the one that is dead is told, whatever the other one has."""

from __future__ import annotations

import dataclasses

import pytest

from answerable.api.log_answers import FollowedLog
from answerable.core.lease.name import account_of
from answerable.ports.search_process import LogsTold
from answerable.wiring.kept_logs import KeptLogs
from tests.unit.wiring.test_kept_logs import LEASES, NOW, Lab, lab, line, shown

__all__ = ("lab",)
pytestmark = [pytest.mark.anyio, pytest.mark.requirement("FOLLOW-03")]
PAIR = tuple(f"db postgres {name}.json account=shared" for name in ("one", "two"))


@pytest.fixture
def pair(lab: Lab) -> Lab:
    """Two logs of one target; each has told of an action at it."""
    lab.settings = dataclasses.replace(lab.settings, logs=dataclasses.replace(lab.settings.logs, follow=PAIR))
    return lab


def writes(lab: Lab, name: str, *lines: str) -> None:
    with (lab.root / f"{name}.json").open("a") as file:
        file.write("".join(f"{one}\n" for one in lines))


def by_name(told: LogsTold) -> dict[str, FollowedLog]:
    return {one.path.rpartition("/")[2].removesuffix(".json"): one for one in told.logs.items}


def told_at(begun: int, number: int) -> str:
    """The line of the session of an action."""
    return line(begun + 0.5, f"a.{number}", user=account_of(LEASES[number]))


async def both_tell(lab: Lab) -> None:
    """Both have a line before the actions, and one line of one."""
    for number, name in ((1, "one"), (2, "two")):
        writes(lab, name, line(-30, f"c.{number}"))
        await lab.acts(number, begun=number * 10)
        writes(lab, name, told_at(number * 10, number))


async def acts_at(lab: Lab, *, at: int, told_by: str) -> None:
    await lab.acts(3, begun=at)
    writes(lab, told_by, told_at(at, 3))


async def test_of_two_logs_of_a_target_the_dead_one_is_silent_and_the_living_one_is_not(pair: Lab) -> None:
    await both_tell(pair)
    with pair.follower() as logs:
        pair.now = NOW + 40_000
        assert {name: one.state for name, one in by_name(pair.told(logs)).items()} == {
            "one": "ok",
            "two": "ok",
        }
        await acts_at(pair, at=100, told_by="one")
        await pair.acts(4, begun=150)
        writes(pair, "one", line(290, "c.9"))
        pair.now = NOW + 300_000
        dead_is_told(pair, logs)
    with pair.follower() as logs:
        dead_is_told(pair, logs)
        # Once it is read on, the action that neither has a line of is a phantom.
        writes(pair, "two", line(295, "c.8"))
        pair.now = NOW + 305_000
        told = pair.told(logs)
        assert {name: one.state for name, one in by_name(told).items()} == {"one": "ok", "two": "ok"}
        assert [(verdict, action) for verdict, _, action in shown(told)] == [("phantom", "04")]


def dead_is_told(lab: Lab, logs: KeptLogs) -> None:
    told = lab.told(logs)
    found = by_name(told)
    assert (found["one"].state, found["two"].state) == ("ok", "silent")
    assert "while 2 actions ran at db; " in found["two"].reason
    assert "no phantom is told of db meanwhile" in found["two"].reason
    assert found["two"].actions_since == 2
    assert not told.findings


async def test_a_log_that_never_had_a_line_is_silent_beside_one_that_has_all(pair: Lab) -> None:
    writes(pair, "two")
    writes(pair, "one", line(-30, "c.1"))
    await acts_at(pair, at=10, told_by="one")
    pair.now = NOW + 300_000
    with pair.follower() as logs:
        found = by_name(pair.told(logs))
    assert (found["one"].state, found["two"].state) == ("ok", "silent")
    assert found["two"].reason.startswith("no line since it is followed, while an action ran at db")


async def test_a_log_of_other_things_beside_that_of_the_target_is_not_taken_for_a_dead_one(pair: Lab) -> None:
    """It has lines, and none of an action at this target: what the other one tells is enough."""
    writes(pair, "one", line(-30, "c.1"))
    writes(pair, "two", line(-30, "c.2"))
    await acts_at(pair, at=10, told_by="one")
    pair.now = NOW + 300_000
    with pair.follower() as logs:
        assert {one.state for one in by_name(pair.told(logs)).values()} == {"ok"}
