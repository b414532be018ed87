"""Contract suite of the RevocationRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.revocation import Revocation, RevocationTarget, revocable
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.mandate.revocation import RevocationKind
    from answerable.ports.revocation_register import RevocationRegister

SCOUT = revocable("agent", "scout")
RACERS = 8


def sample_revocation(kind: RevocationKind = "agent", name: str = "scout", *, at: int = 0) -> Revocation:
    """Return a sample revocation. at: milliseconds after the start of the tests' clock."""
    what = revocable(kind, name)
    return Revocation(
        what=what, at=UnixMillis(START + at), by="operator", reason="its key was seen elsewhere"
    )


class RevocationRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> RevocationRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_added_is_found_by_its_name_and_by_no_other(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.find((SCOUT,)) is None, "nothing is revoked at first")
        one = sample_revocation()
        claim(register.add(one), "it is new")
        claim(
            register.find((RevocationTarget("mandate", "m-1"), SCOUT)) == one,
            "found among other names, whole",
        )
        claim(register.find((RevocationTarget("vendor", "scout"),)) is None, "another kind is another name")
        claim(register.find(()) is None, "no name is no revocation")

    def test_every_addition_is_another_epoch(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        seen = [register.epoch()]
        for name in ("scout", "rover", "third"):
            register.add(sample_revocation(name=name))
            seen.append(register.epoch())
        claim(len(set(seen)) == len(seen), "each is another number")
        claim(register.epoch() == seen[-1], "and it stays while nothing is added")

    def test_the_first_revocation_of_a_name_stands(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_revocation(), sample_revocation(at=5)
        claim(register.add(first), "the first is new")
        claim(not register.add(second), "the second is told that it is not")
        claim(register.find((SCOUT,)) == first, "the first stands")
        claim(list(register.all()) == [first], "and is the only one")

    def test_many_at_once_are_in_force_each_once_and_the_first_of_a_name_stands(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        before = sample_revocation()
        register.add(before)
        made = [sample_revocation(name=f"agent-{number}", at=number) for number in range(50)]
        seen = register.epoch()
        added = register.add_all([*made, sample_revocation(at=5), sample_revocation(name="agent-7", at=9)])
        claim(added == len(made), "neither what was revoked before nor a second time counts")
        claim(register.epoch() != seen, "it is another epoch")
        claim(all(register.find((one.what,)) == one for one in made), "each is in force, as it was first")
        claim(register.find((SCOUT,)) == before, "the first stands")
        claim(list(register.all()) == [*made[::-1], before], "in order")
        claim(list(register.unrecorded()) == [before, *made], "and none is taken for recorded")
        claim(register.add_all(()) == 0, "nothing is nothing")

    def test_all_are_listed_newest_first(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        made = [sample_revocation(name=f"agent-{number}", at=number) for number in range(5)]
        for one in made:
            register.add(one)
        claim(list(register.all()) == made[::-1], "newest first, none is lost")

    def test_what_is_not_recorded_is_told_until_it_is(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_revocation(), sample_revocation(name="rover")
        register.add(first)
        register.add(second)
        claim(list(register.unrecorded()) == [first, second], "oldest first")
        register.recorded([first.what])
        claim(list(register.unrecorded()) == [second], "only the other is left")
        claim(register.find((SCOUT,)) == first, "and the recorded one is still in force")

    def test_of_many_at_once_each_is_found_once_its_add_has_returned(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        missed: list[str] = []

        def revoke(number: int) -> None:
            one = sample_revocation(name=f"agent-{number}")
            register.add(one)
            if register.find((one.what,)) != one:
                missed.append(one.what.name)

        threads = [threading.Thread(target=revoke, args=(number,)) for number in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claim(missed == [], "no add returned before its revocation was seen")
        claim(len(list(register.all())) == RACERS, "and all are there")


class DurableRevocationRegisterContract(RevocationRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_revocations_survive_a_restart_and_so_does_what_is_not_recorded(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_revocation(), sample_revocation("owner", "alice", at=1)
        register.add(first)
        register.add(second)
        register.recorded([first.what])
        again = self.opened(tmp_path)
        claim(list(again.all()) == [second, first], "all are there, in order")
        claim(again.find((SCOUT,)) == first, "and in force")
        claim(list(again.unrecorded()) == [second], "what was not recorded is still not")

    def test_what_another_opening_added_is_seen_at_the_next_call(self, tmp_path: Path) -> None:
        here, there = self.opened(tmp_path), self.opened(tmp_path)
        claim(here.find((SCOUT,)) is None, "nothing yet")
        before = here.epoch()
        there.add(sample_revocation())
        claim(here.epoch() != before, "the very next look is another epoch")
        claim(here.find((SCOUT,)) == sample_revocation(), "and finds it, without anybody refreshing anything")
