"""Full disk: nothing is done any more, nothing that ended lives again, and what ends authority still does."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.probes.full_disk import fill, make_room
from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, look, prepare, still
from tests.seams.life import Life, life

ENDS = ("stop", "close", "revoke")


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """full: what a row was answered on the full disk. said, with room, restarted: what came of each end of authority
    there, when there was room again, and after a restart."""
    with life(disk="small") as one:
        prepare(one)
        one.kept["ends"] = {"stop": one.mandate("asker"), "close": one.mandate(), "revoke": one.mandate()}
        work = one.kept["mandate"]["open"]
        fill(one.home.data)
        one.until(lambda: one.reads("worker", work) == "register.no_room", "word of the full disk")
        told = len(one.lines())
        for row in FEATURES:
            if row.name not in one.faults:
                one.kept[row.name]["full"] = seen(one, row)
        one.kept["told"] = {"on the full disk": len(one.lines()) - told}
        ended = one.kept["ends"]
        said = {
            "stop": one.asked(
                "POST", "/v1/holds", {"kind": "agent", "name": "asker", "reason": "odd", "seconds": 0}
            ),
            "close": one.asked("POST", f"/v1/mandates/{ended['close']}/close", {}),
            "revoke": one.asked(
                "POST", "/v1/revocations", {"kind": "mandate", "name": ended["revoke"], "reason": "odd"}
            ),
        }
        one.kept["said"] = said
        make_room(one.home.data)
        one.until(lambda: one.reads("worker", work) == "ok", "word of the room")
        one.kept["with room"] = {name: reads(one, name) for name in ENDS}
        one.stop(signal.SIGKILL)
        one.start()
        one.kept["restarted"] = {name: reads(one, name) for name in ENDS}
        yield one


def reads(one: Life, name: str) -> str:
    return one.reads("asker" if name == "stop" else "worker", one.kept["ends"][name])


def seen(one: Life, row: Feature) -> dict[str, str]:
    try:
        return look(one, row)
    except AssertionError as refused:
        return {"refused": str(refused)}


@pytest.mark.requirement("SEAM-06")
@column("full disk")
def test_nothing_is_done_and_nothing_lives_again_on_a_full_disk(lived: Life, row: Feature):
    if row.name == "hold and lift":
        lived.kept[row.name]["full"].pop("lifted", None)
    full = lived.kept[row.name]["full"]
    ended = {name for name, holds in row.holds.items() if holds != "ok"}
    assert not [name for name in ended if full.get(name) == "ok"], full
    assert not [name for name in row.holds if full.get(name) == "ok"], full
    still(lived, row)


@pytest.mark.requirement("SEAM-06")
def test_nobody_was_told_to_do_anything(lived: Life):
    assert lived.kept["told"] == {"on the full disk": 0}


@pytest.mark.requirement("SEAM-06")
@pytest.mark.parametrize("name", ENDS)
def test_what_ends_authority_works_on_a_full_disk(lived: Life, name: str):
    assert lived.kept["with room"][name] != "ok", lived.kept["said"]
    assert (
        lived.kept["restarted"][name]
        == {"stop": "held.agent", "close": "mandate.closed", "revoke": "revoked.mandate"}[name]
    )
