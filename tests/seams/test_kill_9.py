"""Kill −9: the server is killed while every row is written, at each moment of a call. Nothing is there by half."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.seams.feature import Feature
from tests.seams.features import FEATURES, column, prepare, still
from tests.seams.life import Life, life

pytestmark = pytest.mark.requirement("SEAM-03")
EACH_MAX = 12
"""Writes of a row in a round, so that quick ones leave room for slow ones."""
AMOUNT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far one call has come when its server is killed, after so many writes of all rows that were acknowledged.

    to: whom it pays. began: whether it has an intent. paid: what the bank did.
    """

    after: int
    to: str
    began: bool
    paid: int


MOMENTS = {
    "before its intent": Moment(after=12, to="unheard", began=False, paid=0),
    "between intent and act": Moment(after=45, to="stuck before", began=True, paid=0),
    "between act and outcome": Moment(after=90, to="stuck after", began=True, paid=1),
}


@dataclass
class Round:
    """Writers of every row at once, until the server is killed. first: number of its first writes. mandate: of the call
    that is caught at the moment. said: what was acknowledged, by row and number; None where it was not."""

    life: Life
    first: int
    moment: Moment
    mandate: str
    said: dict[str, dict[int, object]] = field(default_factory=lambda: {row.name: {} for row in FEATURES})

    def __post_init__(self) -> None:
        self.killed = threading.Event()
        self.acknowledged = threading.Semaphore(0)

    def writes(self, row: Feature) -> None:
        for number in range(self.first, self.first + EACH_MAX):
            if self.killed.is_set():
                # From here on the command line would work on the directory itself.
                return
            self.said[row.name][number] = None
            try:
                self.said[row.name][number] = row.write(self.life, self.life.kept[row.name], number)
            except Exception:
                # Whatever a client meets when its server is gone.
                return
            finally:
                self.acknowledged.release()

    def pays(self) -> None:
        try:
            said = self.life.pays("spender", self.mandate, self.moment.to, AMOUNT)
        except Exception:
            return
        self.said["the call"] = {0: said}

    def catch(self) -> None:
        """One call more, which has come so far, and no further."""
        if not self.moment.began:
            # What is sent from now on lies before it, and it reads none of it.
            self.life.home.process.send_signal(signal.SIGSTOP)
        caught = threading.Thread(target=self.pays)
        caught.start()
        self.threads.append(caught)
        if self.moment.began:
            self.life.until((self.life.root / self.moment.to).exists, f"the call to come {self.moment.to}")

    def kill(self) -> None:
        self.threads = [threading.Thread(target=self.writes, args=(row,)) for row in FEATURES]
        for one in self.threads:
            one.start()
        for _ in range(self.moment.after):
            assert self.acknowledged.acquire(timeout=60)
        self.killed.set()
        self.catch()
        self.life.stop(signal.SIGKILL)
        for one in self.threads:
            one.join()


@pytest.fixture(scope="module")
def lived() -> Iterator[tuple[Life, dict[str, Round]]]:
    with life() as one:
        prepare(one)
        rounds = {}
        for number, (name, moment) in enumerate(MOMENTS.items()):
            mandate = one.mandate("spender", budgets=(("money:EUR", 100 * AMOUNT),))
            rounds[name] = Round(one, number * EACH_MAX, moment, mandate)
            rounds[name].kill()
            one.start()
        yield one, rounds


@column("kill −9")
def test_what_was_acknowledged_is_there_and_nothing_by_half(
    lived: tuple[Life, dict[str, Round]], row: Feature
):
    one, rounds = lived
    for said in rounds.values():
        for number, acknowledged in said.said[row.name].items():
            there = row.written(one, one.kept[row.name], number, acknowledged)
            assert there or acknowledged is None, (number, acknowledged)
    still(one, row)


@pytest.mark.parametrize("name", MOMENTS)
def test_a_call_that_was_killed_is_told_and_counted_as_far_as_it_had_come(
    lived: tuple[Life, dict[str, Round]], name: str
):
    one, rounds = lived
    mandate, moment = rounds[name].mandate, MOMENTS[name]
    assert "the call" not in rounds[name].said
    assert one.done("pay", account="A1", amount=AMOUNT, to=moment.to) == moment.paid
    told = story_of(one, mandate)
    assert told[:2] == ["mandate_issued", "intent"][: 1 + moment.began]
    # How it ended is said to be unknown once its time is over.
    assert set(told[2:]) <= {"indeterminate"}
    # What is not known to have failed stays spent.
    assert counted(one, mandate) == ("open", int(moment.began), AMOUNT * moment.began)


def story_of(one: Life, mandate: str) -> list[str]:
    return [line["kind"] for line in one.told(f"/v1/timeline/{mandate}")["lines"]]


def counted(one: Life, mandate: str) -> tuple[str, int, int]:
    """State, calls and money of a mandate, as it is shown."""
    shown = one.told(f"/v1/mandates/{mandate}")
    return shown["state"], shown["calls_used"], shown["budgets"].get("money:EUR", {}).get("used", 0)


def test_what_each_mandate_says_is_what_its_story_tells(lived: tuple[Life, dict[str, Round]]):
    """Of those that were given, closed, revoked or paid by while the server was killed."""
    one, rounds = lived
    given = [
        mandate
        for row in ("mandate", "revocation")
        for name, mandate in one.kept[row].items()
        if name.startswith("written ") and one.asked("GET", f"/v1/mandates/{mandate}")[0] == 200
    ]
    acknowledged = {mandate for found in rounds.values() for mandate in found.said["mandate"].values()}
    paid = [one.kept["budget"]["large"], *(found.mandate for found in rounds.values())]
    assert {counted(one, mandate)[0] for mandate in given} == {"open", "closed", "revoked"}
    for mandate in (*given, *paid):
        state, calls, money = counted(one, mandate)
        told = story_of(one, mandate)
        assert told.count("mandate_issued") == 1, (mandate, told)
        assert ("revoked" in told) == (state == "revoked"), (mandate, told)
        # To close comes before to write it down: whoever was not answered closes it again, which is told.
        is_closed = state == "closed" and (mandate in acknowledged or "mandate_closed" in told)
        assert ("mandate_closed" in told) == is_closed, (mandate, told)
        assert calls == told.count("intent"), (mandate, told)
        assert money == AMOUNT * calls * (mandate in paid), (mandate, told)
