"""Read-only: nothing is done any more, what ends authority holds in memory, and a restart with a disk has all of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, look, prepare, still
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-12")
ENDED = {"stop": "held.agent", "close": "mandate.closed", "revoke": "revoked.mandate"}


@pytest.fixture(scope="module")
def lived() -> Iterator[Life]:
    """read only: what a row was answered then. said: to who ended something then. restarted: what came of that."""
    with life(disk="failing") as one:
        prepare(one)
        ended = {"stop": one.mandate("asker"), "close": one.mandate(), "revoke": one.mandate()}
        told = len(one.lines())
        one.disk.fail()
        one.until(lambda: "no action begins" in one.home.said, "word of the disk")
        for row in FEATURES:
            one.kept[row.name]["read only"] = seen(one, row)
        one.kept["told"] = {"then": len(one.lines()) - told}
        one.kept["said"] = {
            "stop": one.asked(
                "POST", "/v1/holds", {"kind": "agent", "name": "asker", "reason": "odd", "seconds": 0}
            ),
            "close": one.asked("POST", f"/v1/mandates/{ended['close']}/close", {}),
            "revoke": one.asked(
                "POST", "/v1/revocations", {"kind": "mandate", "name": ended["revoke"], "reason": "odd"}
            ),
        }
        one.disk.mend()
        one.until(lambda: "the registers can be written again" in one.home.said, "word of the registers")
        # The log takes nothing until it is opened anew.
        one.kept["mended"] = {"open": one.reads("worker", one.kept["mandate"]["open"])}
        one.stop(signal.SIGKILL)
        one.start()
        one.kept["restarted"] = {
            name: one.reads("asker" if name == "stop" else "worker", mandate)
            for name, mandate in ended.items()
        }
        yield one


def seen(one: Life, row: Feature) -> dict[str, str]:
    try:
        return look(one, row)
    except AssertionError as refused:
        return {"refused": str(refused)}


@column("read-only")
def test_nothing_is_done_and_nothing_lives_again_on_a_read_only_disk(lived: Life, row: Feature) -> None:
    then: dict[str, Any] = lived.kept[row.name]["read only"]
    # Lifting is signed here and kept nowhere: what is said of it is said by the command line.
    then.pop("lifted", None)
    assert not [name for name in row.holds if then.get(name) == "ok"], then
    still(lived, row)


def test_nobody_was_told_to_do_anything(lived: Life) -> None:
    assert lived.kept["told"] == {"then": 0}
    assert lived.kept["mended"] == {"open": "ledger.unwritable"}


@pytest.mark.parametrize("name", ENDED)
def test_what_ended_then_is_told_as_on_no_record_and_stays_ended(lived: Life, name: str) -> None:
    status, answer = lived.kept["said"][name]
    assert (status, answer["code"]) == (503, "register.unrecorded"), answer
    assert lived.kept["restarted"][name] == ENDED[name]
