"""The contract suite of revocations, and what only processes with a number in shared memory can get wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from answerable.adapters.sqlite import (
    SqliteMandateRegister,
    SqliteRevocationRegister,
    SqliteStore,
)
from answerable.adapters.sqlite.revocations import CHECK_SECONDS
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import revocable
from answerable.errors import Unavailable
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.revocation_register import (
    SCOUT,
    DurableRevocationRegisterContract,
    sample_revocation,
)
from answerable.testing.samples import mandate

pytestmark = pytest.mark.requirement("REVOKE-01")


class Opened:
    """A register of one process, with its clock at hand: only the clock lets it ask the database by itself."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.store = SqliteStore.open(directory / "registers.db")
        self.register = SqliteRevocationRegister(self.store, clock=self.clock)

    def later(self) -> SqliteRevocationRegister:
        self.clock.advance(2 * CHECK_SECONDS)
        return self.register


class TestSqliteRevocationRegister(DurableRevocationRegisterContract):
    def opened(self, tmp_path: Path) -> SqliteRevocationRegister:
        return Opened(tmp_path).register


@pytest.mark.requirement("REVOKE-06")
def test_the_shared_number_is_nobody_elses_to_read_or_write(tmp_path):
    Opened(tmp_path)
    status = (tmp_path / "registers.epoch").stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == 8


def lose(place: Path) -> None:
    place.unlink()


def cut(place: Path) -> None:
    os.truncate(place, 0)


def shorten(place: Path) -> None:
    os.truncate(place, 3)


def replace_it(place: Path) -> None:
    other = place.with_name("other")
    other.write_bytes(bytes(8))
    other.rename(place)


def open_up(place: Path) -> None:
    place.chmod(0o666)


def set_back(place: Path) -> None:
    with place.open("r+b") as file:
        file.write(bytes(8))


TAMPERING = {one.__name__: one for one in (lose, cut, shorten, replace_it, set_back, open_up)}


@pytest.mark.requirement("REVOKE-06")
@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING)
def test_whatever_becomes_of_the_shared_number_no_revocation_is_missed(tmp_path, tamper):
    here, there = Opened(tmp_path), Opened(tmp_path)
    here.register.add(sample_revocation(name="rover"))
    tamper(tmp_path / "registers.epoch")
    # By the time `add` has returned, every process asks the database at its next call.
    there.later().add(sample_revocation())
    assert here.later().find((SCOUT,)) == sample_revocation()
    # And from then on the number is shared again: the next one is seen without the clock moving.
    there.register.add(sample_revocation(name="third"))
    assert here.register.find((revocable("agent", "third"),)) is not None
    assert (tmp_path / "registers.epoch").stat().st_size == 8


@pytest.mark.requirement("REVOKE-06")
@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING)
def test_a_number_that_is_tampered_with_after_the_news_hides_it_from_nobody(tmp_path, tamper):
    here, there = Opened(tmp_path), Opened(tmp_path)
    there.register.add(sample_revocation())
    tamper(tmp_path / "registers.epoch")
    assert here.later().find((SCOUT,)) == sample_revocation()


@pytest.mark.requirement("REVOKE-06")
def test_a_link_in_place_of_the_number_is_not_followed(tmp_path):
    here, there = Opened(tmp_path), Opened(tmp_path)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious!")
    (tmp_path / "registers.epoch").unlink()
    (tmp_path / "registers.epoch").symlink_to(victim)
    there.later().add(sample_revocation())
    assert victim.read_bytes() == b"precious!"
    # Without a number to look at, the database is asked with each call.
    assert here.later().find((SCOUT,)) == sample_revocation()
    there.register.add(sample_revocation(name="third"))
    assert here.register.find((revocable("agent", "third"),)) is not None


@pytest.mark.requirement("REVOKE-02")
def test_a_mandate_that_another_process_closed_is_closed_here_at_the_next_look(tmp_path):
    here, there = Opened(tmp_path), Opened(tmp_path)
    mandates = SqliteMandateRegister(there.store)
    mandates.add(mandate("m-1"))
    ours = SqliteMandateRegister(here.store)
    mandates.close(MandateId("m-1"))
    here.register.epoch()
    assert ours.state(MandateId("m-1")) == "closed"


def test_a_failing_file_is_unavailable_and_never_an_answer(tmp_path):
    here = Opened(tmp_path)
    here.store.close()
    with pytest.raises(Unavailable):
        here.later().find((SCOUT,))
    with pytest.raises(Unavailable):
        here.register.add(sample_revocation())
    with pytest.raises(Unavailable):
        here.register.epoch()
