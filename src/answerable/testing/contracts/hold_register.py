"""Contract suite of the HoldRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.containment.hold import EVERYTHING, Agreement, Hold, HoldId, holdable
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim
from answerable.testing.contracts.revocation_register import sample_revocation

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.containment.hold import HoldTarget
    from answerable.ports.hold_register import HoldRegister
    from answerable.ports.revocation_register import RevocationRegister

SCOUT = holdable("agent", "scout")
ROVER = holdable("agent", "rover")
NOW = UnixMillis(START)
RACERS = 8


def sample_hold(
    number: int = 1, what: HoldTarget = SCOUT, *, by: str = "uid:1000", at: int = 0, ends: int = 0
) -> Hold:
    """Return a sample hold. at, ends: milliseconds after the start of the tests' clock; 0 for no end."""
    return Hold(
        id=HoldId(f"hold_{number:022d}"),
        what=what,
        at=UnixMillis(START + at),
        by=by,
        reason="it deletes mail",
        expires_at=START + ends if ends else 0,
    )


def sample_lift(hold: Hold, *people: str) -> Hold:
    """Return the hold, lifted by these people."""
    agreed = tuple(
        Agreement(by=PrincipalId(one), key="k", reason="looked at", at=NOW, token=f"token of {one}")
        for one in people
    )
    return replace(hold, agreed=agreed, lifted_at=START + 1)


class HoldRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> tuple[HoldRegister, RevocationRegister]:
        """Open a register and the revocation register beside it, stored, if at all, in that directory; opening again is
        a restart."""
        raise NotImplementedError

    def test_what_was_placed_is_found_by_its_name_and_by_no_other(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        claim(register.find((SCOUT,), NOW) is None, "nothing is held at first")
        one = sample_hold()
        claim(register.place(one) == one, "it is new")
        claim(register.find((holdable("mandate", "m-1"), SCOUT), NOW) == one, "found among others, whole")
        claim(register.find((ROVER, holdable("vendor", "scout"), EVERYTHING), NOW) is None, "and by no other")
        claim(register.find((), NOW) is None, "no name is no hold")
        claim(register.get(one.id) == one, "and by its id")
        claim(register.get(HoldId("hold_" + "x" * 22)) is None, "and by no other id")

    def test_every_hold_lift_and_revocation_is_another_epoch(self, tmp_path: Path) -> None:
        register, revocations = self.opened(tmp_path)
        seen = [register.epoch()]
        first, second = sample_hold(1), sample_hold(2, ROVER)
        register.place(first)
        seen.append(register.epoch())
        register.place(second)
        seen.append(register.epoch())
        register.replace(sample_lift(first, "ann"), was=first)
        seen.append(register.epoch())
        revocations.add(sample_revocation())
        seen.append(register.epoch())
        claim(len(set(seen)) == len(seen), "each is another number")
        claim(
            register.epoch() == seen[-1] == revocations.epoch(),
            "one for both, which stays while nothing is new",
        )

    def test_the_same_hold_placed_again_is_the_one_in_force(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        first = register.place(sample_hold(1))
        claim(register.place(sample_hold(2, at=5)) == first, "of the same placer on the same name")
        claim(register.place(sample_hold(3, at=5, ends=90)) == first, "also one that would end earlier")
        other = register.place(sample_hold(4, by="uid:0"))
        claim(other.id == sample_hold(4).id, "that of another placer is another one")
        claim({one.id for one in register.all()} == {first.id, other.id}, "and no more are kept")

    def test_a_hold_that_somebody_agreed_to_lift_stands_for_no_other(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        first = register.place(sample_hold(1))
        agreed = replace(sample_lift(first, "ann"), lifted_at=0)
        register.replace(agreed, was=first)
        pressed = register.place(sample_hold(2, at=5))
        claim(pressed.id == sample_hold(2).id, "who agreed had not seen why it was pressed again")
        register.replace(sample_lift(first, "ann", "bob"), was=agreed)
        claim(register.find((SCOUT,), NOW) == pressed, "and lifting that one does not lift this one")

    def test_a_longer_hold_is_another_one(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        short, long = sample_hold(1, ends=50), sample_hold(2, at=5)
        register.place(short)
        claim(register.place(long) == long, "a stop without an end is not cut to that of a shorter one")
        claim(register.find((SCOUT,), UnixMillis(START + 60)) == long, "and holds when that has run out")
        register.replace(sample_lift(long, "ann"), was=long)
        claim(register.find((SCOUT,), UnixMillis(START + 40)) == short, "lifting one lifts no other")

    def test_a_hold_ends_by_the_clock_and_holds_longer_where_it_is_set_back(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        one = register.place(sample_hold(ends=50))
        claim(register.find((SCOUT,), UnixMillis(START + 49)) == one, "until its end")
        claim(register.find((SCOUT,), UnixMillis(START + 50)) is None, "and no longer")
        claim(
            register.find((SCOUT,), UnixMillis(START - 9_000)) == one, "again, where the clock was set back"
        )
        claim(register.standing((ROVER, SCOUT)) == (one,), "it stands, run out or not")

    def test_a_lifted_hold_holds_nothing_and_is_not_forgotten(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        one = register.place(sample_hold())
        agreed = replace(sample_lift(one, "ann"), lifted_at=0)
        claim(register.replace(agreed, was=one), "one person agrees")
        claim(register.find((SCOUT,), NOW) == agreed, "which lifts nothing")
        claim(not register.replace(sample_lift(one, "bob"), was=one), "who saw it before comes too late")
        lifted = sample_lift(one, "ann", "bob")
        claim(register.replace(lifted, was=agreed), "the second lifts it")
        claim(register.find((SCOUT,), NOW) is None, "at once")
        claim(list(register.all()) == [lifted] and register.get(one.id) == lifted, "and it is still told of")
        again = sample_hold(7, at=90)
        claim(register.place(again) == again, "the same placed again is a new one")

    def test_all_are_listed_newest_first(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        made = [sample_hold(number, holdable("agent", f"agent-{number}"), at=number) for number in range(5)]
        for one in made:
            register.place(one)
        claim(list(register.all()) == made[::-1], "newest first, none is lost")

    def test_what_is_not_recorded_is_told_until_it_is(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        first, second = sample_hold(1), sample_hold(2, ROVER)
        register.place(first)
        register.place(second)
        claim(list(register.unrecorded()) == [first, second], "oldest first")
        register.recorded([first.id])
        claim(list(register.unrecorded()) == [second], "only the other is left")
        told = [register.is_recorded(one.id) for one in (first, second, sample_hold(3))]
        claim(told == [True, False, False], "and each can be asked for by itself")
        claim(register.find((SCOUT,), NOW) == first, "and the recorded one is still in force")

    def test_what_is_put_back_is_as_it_was_and_each_once(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        kept = register.place(sample_hold(1))
        gone, lifted = sample_hold(2, ROVER), sample_lift(sample_hold(3, EVERYTHING), "ann")
        before = register.epoch()
        claim(
            register.put_back([sample_lift(kept, "ann"), gone, lifted]) == 2, "what is known stays as it is"
        )
        claim(register.epoch() != before, "it is another epoch")
        claim(register.find((SCOUT,), NOW) == kept and register.find((ROVER,), NOW) == gone, "both hold")
        claim(register.find((EVERYTHING,), NOW) is None, "what was lifted does not")
        claim(list(register.unrecorded()) == [kept], "the ledger is not told again")
        claim(register.is_recorded(gone.id), "as it has what was put back")
        claim(register.put_back(()) == 0, "nothing is nothing")

    def test_what_is_put_right_is_what_is_known_from_then_on(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        kept = register.place(sample_hold(1, ROVER))
        lifted = sample_lift(register.place(sample_hold(2, EVERYTHING)), "ann")
        register.put_back([lifted])
        right, again = sample_hold(1), sample_hold(2, EVERYTHING)
        before = register.epoch()
        register.put_right([right, again])
        claim(register.epoch() != before, "it is another epoch")
        claim(register.find((ROVER,), NOW) is None and register.get(kept.id) == right, "not what it was")
        claim(register.find((SCOUT,), NOW) == right, "but what it is said to be")
        claim(register.find((EVERYTHING,), NOW) == again, "in force, whatever was known")
        claim(list(register.unrecorded()) == [], "and the ledger is not told again")

    def test_what_came_of_a_hold_is_owed_from_its_record_on_until_it_is_told(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        first, second, gone = sample_hold(1), sample_hold(2, ROVER), sample_hold(3, EVERYTHING)
        register.place(first)
        register.place(second)
        claim(list(register.unreported()) == [], "of what the ledger has not, nothing is owed yet")
        register.recorded([second.id])
        register.recorded([first.id])
        claim({one.id for one in register.unreported()} == {first.id, second.id}, "of what it has, it is")
        register.reported([second.id, second.id, HoldId(f"hold_{9:022d}")])
        claim(list(register.unreported()) == [first], "told once, of a hold that there is or not")
        register.replace(sample_lift(first, "ann", "bob"), was=first)
        claim([one.id for one in register.unreported()] == [first.id], "a lift owes it no less")
        register.put_back([gone])
        claim({one.id for one in register.unreported()} == {first.id, gone.id}, "nor what was put back")

    def test_of_many_at_once_each_is_found_once_its_place_has_returned(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        missed: list[str] = []

        def hold(number: int) -> None:
            one = sample_hold(number, holdable("agent", f"agent-{number}"))
            register.place(one)
            if register.find((one.what,), NOW) != one:
                missed.append(one.what.name)

        threads = [threading.Thread(target=hold, args=(number,)) for number in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claim(missed == [], "no place returned before its hold was seen")
        claim(len(list(register.all())) == RACERS, "and all are there")


class DurableHoldRegisterContract(HoldRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_holds_survive_a_restart_and_so_does_what_is_not_recorded(self, tmp_path: Path) -> None:
        register, _ = self.opened(tmp_path)
        first, second, third = sample_hold(1), sample_hold(2, ROVER, ends=90), sample_hold(3, EVERYTHING)
        for one in (first, second, third):
            register.place(one)
        register.recorded([first.id])
        lifted = sample_lift(third, "ann", "bob")
        register.replace(lifted, was=third)
        again, _ = self.opened(tmp_path)
        claim(list(again.all()) == [lifted, second, first], "all are there, in order, whole")
        claim(
            again.standing((SCOUT, ROVER, EVERYTHING)) == (first, second),
            "and in force, but for what was lifted",
        )
        claim(list(again.unrecorded()) == [second, lifted], "what was not recorded is still not")
        claim(list(again.unreported()) == [first], "and what is owed of the others still is")

    def test_what_another_opening_did_is_seen_at_the_next_call(self, tmp_path: Path) -> None:
        (here, revoked_here), (there, _) = self.opened(tmp_path), self.opened(tmp_path)
        claim(here.find((SCOUT,), NOW) is None, "nothing yet")
        before = here.epoch()
        one = there.place(sample_hold())
        claim(
            revoked_here.epoch() != before, "the very next look is another epoch, whichever register is asked"
        )
        claim(here.find((SCOUT,), NOW) == one, "and finds it, without anybody refreshing anything")
        there.replace(sample_lift(one, "ann", "bob"), was=one)
        claim(here.find((SCOUT,), NOW) is None, "and so is a lift")
        claim(
            here.place(sample_hold(9, at=7)).id == sample_hold(9).id,
            "which is known here when it is held again",
        )
