"""Contract suite of the DutyRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.deputy_statement import DeputyStatement
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.ports.duty_register import DutyRegister

RACERS = 16
DELEGATIONS_MAX = 12
"""Limit of the register in these tests."""
WAITING, OTHER = ApprovalId("waits"), ApprovalId("waits-too")
ALICE, BOB = PrincipalId("alice"), PrincipalId("bob")


def sample_delegation(number: int = 0, *, of: str = "bob", to: str = "dan") -> DeputyStatement:
    """Return a sample delegation of duty."""
    return DeputyStatement(
        id=f"delegation-of-duty-{number:04}",
        group="approvers",
        of=PrincipalId(of),
        to=PrincipalId(to),
        since=START,
        until=UnixMillis(START + 1_000),
        reason="at the dentist's",
        strength="any",
        key="a" * 43,
        token="what was signed",  # noqa: S106 - of nothing
    )


class DutyRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> DutyRegister:
        """Open a register of at most DELEGATIONS_MAX, stored, if at all, in that directory; opening again is a
        restart."""
        raise NotImplementedError

    def test_a_step_is_told_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.told(WAITING) == frozenset(), "nothing was told yet")
        claim(register.tell(WAITING, "pay", 0, START), "it is told")
        claim(not register.tell(WAITING, "pay", 0, START), "and not again")
        claim(
            register.tell(WAITING, "pay", 1, START) and register.tell(WAITING, "ops", 0, START), "others are"
        )
        claim(register.told(WAITING) == {("pay", 0), ("pay", 1), ("ops", 0)}, "all are known")
        claim(register.told(OTHER) == frozenset(), "of this question alone")

    def test_the_first_view_is_the_earliest_whoever_looks_later(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.first_view(WAITING) is None, "nobody has looked")
        claim(register.view(WAITING, BOB, UnixMillis(START + 5)), "bob looks")
        claim(not register.view(WAITING, BOB, UnixMillis(START + 9)), "again is not the first time")
        claim(register.view(WAITING, ALICE, UnixMillis(START + 7)), "alice looks")
        claim(register.first_view(WAITING) == START + 5, "bob was the first")
        claim(register.first_view(OTHER) is None, "of this question alone")

    def test_a_delegation_is_found_whole_and_its_end_is_for_good(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one, two = sample_delegation(1), sample_delegation(2, to="carol")
        register.delegate(one)
        register.delegate(two)
        claim(list(register.delegations()) == [one, two], "oldest first")
        claim(register.end(one.id, START), "it is ended")
        claim(not register.end(one.id, START), "once")
        claim(list(register.delegations()) == [two], "it is not among those that may count")
        claim(register.find(one.id) == replace(one, ended_at=START), "it is still known")
        claim(register.find("unknown") is None, "another is not")
        with raises(Malformed, "duty.duplicate", "it does not come back"):
            register.delegate(one)

    def test_one_that_was_ended_before_it_came_does_not_come(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(not register.end(sample_delegation().id, START), "it was not there")
        with raises(Malformed, "duty.duplicate", "it does not come"):
            register.delegate(sample_delegation())

    def test_delegations_are_bounded_and_what_is_over_makes_room(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number in range(DELEGATIONS_MAX):
            register.delegate(sample_delegation(number))
        with raises(Malformed, "duty.full", "there are enough"):
            register.delegate(sample_delegation(99))
        register.end(sample_delegation(1).id, START)
        register.delegate(sample_delegation(98))
        claim(register.forget(before=UnixMillis(START + 1_000)) == 0, "none is over by then")
        claim(register.forget(before=UnixMillis(START + 1_001)) == DELEGATIONS_MAX + 1, "all are")
        claim(register.find(sample_delegation(0).id) is None, "they are gone")
        register.delegate(sample_delegation(99))
        with raises(Malformed, "duty.duplicate", "an id that was forgotten does not count again"):
            register.delegate(sample_delegation(0))

    def test_what_was_noted_long_ago_is_forgotten_and_nothing_else(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.tell(WAITING, "pay", 0, START)
        register.view(WAITING, BOB, START)
        register.tell(OTHER, "pay", 0, UnixMillis(START + 10))
        register.view(OTHER, BOB, UnixMillis(START + 10))
        claim(register.forget(before=UnixMillis(START + 10)) == 2, "of the older question")
        claim(
            register.told(WAITING) == frozenset() and register.first_view(WAITING) is None, "it is forgotten"
        )
        claim(register.told(OTHER) == {("pay", 0)} and register.first_view(OTHER) is not None, "this is not")

    def test_of_many_who_race_one_tells_and_one_ends(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.delegate(sample_delegation())
        claim(raced(lambda: register.tell(WAITING, "pay", 0, START)) == 1, "one tells")
        claim(raced(lambda: register.view(WAITING, BOB, START)) == 1, "one view is the first")
        claim(raced(lambda: register.end(sample_delegation().id, START)) == 1, "one ends it")


class DurableDutyRegisterContract(DutyRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_everything_is_there_after_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.tell(WAITING, "pay", 3, START)
        register.view(WAITING, BOB, START)
        register.delegate(sample_delegation(1))
        register.delegate(sample_delegation(2))
        register.end(sample_delegation(2).id, START)
        again = self.opened(tmp_path)
        claim(not again.tell(WAITING, "pay", 3, START), "told once, also after a restart")
        claim(again.told(WAITING) == {("pay", 3)} and again.first_view(WAITING) == START, "marks are kept")
        claim(list(again.delegations()) == [sample_delegation(1)], "delegations are kept")
        claim(not again.end(sample_delegation(2).id, START), "and their ends")


def raced(call: Callable[[], bool]) -> int:
    """Return how many of RACERS concurrent calls returned true."""
    won: list[bool] = []
    start = threading.Barrier(RACERS)

    def racer() -> None:
        start.wait()
        won.append(call())

    threads = [threading.Thread(target=racer) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    claim(len(won) == RACERS, "all of them were answered")
    return sum(won)
