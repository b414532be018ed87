"""Contract suite of the OpeningRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from answerable.core.approval.view_challenges import LOOK_MILLIS_MAX, PER_OPENING_MAX, nonce_digest
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import Unavailable
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.ports.challenge_register import OpeningRegister

RACERS = 12
OF_ONE_MAX, OF_UNKNOWN_MAX = 60, 80
LOOKS_MAX = 8
"""Limit of the register in these tests."""
ENDS = UnixMillis(START + 1_000)
HOUR_AGO = UnixMillis(START - 3_600_000)
LATER = UnixMillis(START + 1)


def digest_of(number: int) -> bytes:
    """Return the digest of a numbered nonce."""
    return nonce_digest(number.to_bytes(32, "big"))


class OpeningRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> OpeningRegister:
        """Open a register with the limits OF_ONE_MAX, OF_UNKNOWN_MAX and LOOKS_MAX, stored, if at all, in that
        directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_nonce_is_taken_once_in_time_for_what_it_is_for_and_by_whom(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number, to in ((0, "bob"), (1, ""), (2, "bob")):
            register.give(digest_of(number), about="a-1", to=to, at=START, ends=ENDS)
        claim(take(register, 3) is None, "one that nobody gave")
        claim(take(register, 0, about="a-2") is None, "for something else")
        claim(take(register, 0, by="carol") is None, "by somebody else")
        claim(take(register, 0, by="") is None, "by nobody")
        claim(take(register, 0) == START, "those who tried took nothing away")
        claim(take(register, 0) is None, "and it is taken")
        claim(take(register, 1, by="carol") == START, "one for anybody is anybody's")
        claim(take(register, 2, now=ENDS) is None, "and at its end it is over")

    def test_racing_takers_take_a_nonce_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.give(digest_of(0), about="a-1", to="bob", at=START, ends=ENDS)
        found = raced(lambda _: take(register, 0))
        claim(Counter(found) == {START: 1, None: RACERS - 1}, "one racer has it")

    def test_who_opens_without_end_ends_the_openings_of_nobody_else(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.give(digest_of(1_000), about="a-1", to="bob", at=START, ends=ENDS)
        for number in range(2 * PER_OPENING_MAX):
            register.give(digest_of(number), about="a-1", to="dan", at=START, ends=ENDS)
        claim(take(register, 0, by="dan") is None, "the oldest of who has most is gone")
        claim(take(register, 2 * PER_OPENING_MAX - 1, by="dan") == START, "their newest is not")
        claim(take(register, 1_000) == START, "nor another one's")

    def test_who_opens_everything_there_is_ends_the_openings_of_nobody_else(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.give(digest_of(1_000), about="a-1", to="bob", at=START, ends=ENDS)
        for to, most in (("dan", OF_ONE_MAX), ("", OF_UNKNOWN_MAX)):
            numbers = range(2 * OF_UNKNOWN_MAX)
            for number in numbers:
                register.give(digest_of(number), about=f"many {number}", to=to, at=START, ends=ENDS)
            kept = [take(register, number, about=f"many {number}", by=to) for number in numbers]
            claim(kept == [None] * (len(numbers) - most) + [START] * most, "so many of theirs, the newest")
        claim(take(register, 1_000) == START, "and who opened one still has it")

    def test_the_first_look_counts_and_is_one_persons(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.looked("a-1", "bob") is None, "nobody looked yet")
        register.look(["a-1", "a-2"], "bob", START)
        register.look(["a-1", "a-3"], "bob", LATER)
        claim(
            [register.looked(one, "bob") for one in ("a-1", "a-2", "a-3")] == [START, START, LATER], "first"
        )
        claim(register.looked("a-1", "carol") is None, "of bob alone")

    def test_looks_are_forgotten_past_so_many_and_after_so_long(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number in range(LOOKS_MAX + 2):
            register.look([f"a-{number}"], "bob", START)
        found = [register.looked(f"a-{number}", "bob") for number in range(LOOKS_MAX + 2)]
        claim(found == [None, None, *[START] * LOOKS_MAX], "the oldest are forgotten")
        register.look(["a-new"], "bob", UnixMillis(START + LOOK_MILLIS_MAX))
        claim(register.looked("a-9", "bob") is None, "and all that are older than any question")

    def test_looking_again_without_end_makes_nobody_elses_look_forgotten(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.look(["a-1"], "carol", START)
        for _ in range(2 * LOOKS_MAX):
            register.look(["a-1", "a-2"], "bob", LATER)
        register.look(["a-3"], "bob", LATER)
        claim(register.looked("a-1", "carol") == START, "there are only four")

    def test_a_person_claims_so_many_and_no_more_each_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim([say(register, f"a-{number}") for number in range(4)] == [None, None, None, 3], "three")
        claim(say(register, "a-0") is None, "what was claimed is no other")
        claim(say(register, "a-4", person="carol") is None, "of each person")
        claim(say(register, "a-4", kind="break_glass") is None, "and of each kind")
        later = UnixMillis(START + 3_600_000)
        claim(say(register, "a-5", at=later, since=START) is None, "what is older counts no more")

    def test_what_came_to_nothing_counts_no_more_unless_it_was_claimed_twice(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for what in ("a-0", "a-1", "a-1", "a-2"):
            say(register, what)
        register.let_go("bob", "approve", "a-1")
        claim(say(register, "a-3") == 3, "the other claim of it stands")
        register.let_go("bob", "approve", "a-1")
        register.let_go("bob", "approve", "a-9")
        claim(say(register, "a-3") is None, "now there is a place")
        claim(say(register, "a-4") == 3, "for one")

    def test_racing_claims_are_no_more_than_claims_one_after_the_other(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        found = raced(lambda number: say(register, f"a-{number}"))
        claim(Counter(found) == {None: 3, 3: RACERS - 3}, "three racers claim")


class DurableOpeningRegisterContract(OpeningRegisterContract):
    """Contract cases for registers that persist their state and are shared by processes."""

    def test_everything_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number in range(2):
            register.give(digest_of(number), about="a-1", to="bob", at=START, ends=ENDS)
        take(register, 0)
        register.look(["a-1"], "bob", START)
        for number in range(3):
            say(register, f"a-{number}")
        again = self.opened(tmp_path)
        claim(take(again, 0) is None, "what was taken stays taken")
        claim(take(again, 1) == START, "what was given is good")
        claim(again.looked("a-1", "bob") == START, "who looked has looked")
        claim(say(again, "a-3") == 3, "what was said was said")

    def test_two_processes_are_as_one(self, tmp_path: Path) -> None:
        both = [self.opened(tmp_path), self.opened(tmp_path)]
        both[0].give(digest_of(0), about="a-1", to="bob", at=START, ends=ENDS)
        both[0].look(["a-1"], "bob", START)
        claim(both[1].looked("a-1", "bob") == START, "a look is seen at once")
        taken = raced(lambda number: take(both[number % 2], 0))
        claim(Counter(taken) == {START: 1, None: RACERS - 1}, "one racer has the nonce")
        said = raced(lambda number: say(both[number % 2], f"a-{number}"))
        claim(Counter(said) == {None: 3, 3: RACERS - 3}, "and three claim")


def take(
    register: OpeningRegister, number: int, *, about: str = "a-1", by: str = "bob", now: UnixMillis = LATER
) -> UnixMillis | None:
    """Take a numbered nonce."""
    return register.take(digest_of(number), about=about, by=by, now=now)


def say(
    register: OpeningRegister,
    what: str,
    *,
    person: str = "bob",
    kind: str = "approve",
    at: UnixMillis = START,
    since: UnixMillis = HOUR_AGO,
) -> int | None:
    """Make one claim; three are allowed."""
    return register.claim(
        person, "break_glass" if kind == "break_glass" else "approve", what, at=at, since=since, most=3
    )


def patient(one: Callable[[], int | None]) -> int | None:
    """Retry a call until other writers release the database: on a busy machine they may hold it longer than a register
    waits, and a call refused in this way had no effect."""
    while True:
        try:
            return one()
        except Unavailable as fault:
            if fault.effect != "none" or "locked" not in fault.message:
                raise


def raced(one: Callable[[int], int | None]) -> list[int | None]:
    """Return the results of RACERS concurrent calls."""
    found: list[int | None] = []
    start = threading.Barrier(RACERS)

    def run(number: int) -> None:
        start.wait()
        found.append(patient(lambda: one(number)))

    racers = [threading.Thread(target=run, args=(number,)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return found
