"""Contract suite of the DeliveryRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.delivery import Delivery, failed, missed, told
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.delivery_register import DeliveryRegister

DELIVERIES_MAX = 5
"""Limit of the register in these tests."""
RACERS = 8


def sample_delivery(about: str = "a-1", *, to: str = "person:bob", at: int = 1_000) -> Delivery:
    """Return a sample delivery."""
    return Delivery(about=about, channel="email", to=to, made_at=at)


class DeliveryRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> DeliveryRegister:
        """Open a register of at most DELIVERIES_MAX, stored, if at all, in that directory; opening again is a
        restart."""
        raise NotImplementedError

    def test_what_is_kept_is_found_by_what_it_is_about_and_by_channel(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first = sample_delivery()
        other = replace(sample_delivery(to="requester:alice", at=2_000), channel="slack", body='{"x":1}')
        register.keep([first, other])
        claim(register.of("a-1") == (first, other), "both of one approval, in order")
        claim(register.of("a-2") == (), "none of another")
        claim(register.on("email", since=0) == (first,), "only those of the channel")
        claim(register.on("slack", since=2_000) == (other,), "those of that time")
        claim(register.on("email", since=1_001) == (), "none that is older")

    def test_keeping_again_takes_the_place_of_the_one_of_its_key(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_delivery(), sample_delivery("a-2")
        register.keep([first, second])
        after = told(failed(first, now=1_500, why="no"), "asked", now=3_000, handle="<1@x>")
        register.keep([after, missed(second, why="gone")])
        claim(register.of("a-1") == (after,), "what was kept last")
        claim(register.of("a-2") == (missed(second, why="gone"),), "what was kept last")
        claim(register.on("email", since=3_000) == (after,), "it counts from when it was told")

    def test_a_full_register_counts_what_it_leaves_out_and_still_changes_what_it_has(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        register.open("email", now=1)
        kept = [sample_delivery(f"a-{number}") for number in range(DELIVERIES_MAX)]
        register.keep([*kept, sample_delivery("b-1"), sample_delivery("b-2")])
        claim(register.of("b-1") == (), "no more than its limit")
        claim(register.open("email", now=9).left_out == 2, "each is counted")
        register.keep([missed(kept[0])])
        claim(register.of("a-0")[0].missed, "what is there is changed")

    def test_forgetting_takes_what_was_planned_and_told_before(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        old, late = sample_delivery(at=10), told(sample_delivery("a-2", at=10), "asked", now=90, handle="")
        register.keep([old, late])
        claim(register.forget(before=50) == 1, "one is old")
        claim(register.of("a-1") == () and register.of("a-2") == (late,), "the other one stays")

    def test_a_channel_is_there_from_when_it_was_first_opened(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.open("email", now=7).since == 7, "from then on")
        claim(register.open("email", now=9).since == 7, "not from later")

    def test_a_claim_is_for_one_until_it_is_given_back_or_runs_out(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(not register.claim("email", now=0, until=10), "nobody has what is not there")
        register.open("email", now=0)
        claim(register.claim("email", now=0, until=10), "the first one has it")
        claim(not register.claim("email", now=9, until=19), "nobody else")
        claim(register.claim("email", now=10, until=20), "until it runs out")
        register.release("email", attempts=2, next_at=30, error="down", sent=3, missed=1)
        state = register.open("email", now=0)
        claim((state.attempts, state.next_at, state.error) == (2, 30, "down"), "as it was given back")
        register.release("email", attempts=0, next_at=0, error="", sent=1)
        state = register.open("email", now=0)
        claim((state.error, state.sent, state.missed) == ("", 4, 1), "counted on")
        claim(register.claim("email", now=0, until=10), "free again")
        claim(register.claim("email", now=-100, until=-90), "a clock set back does not lock it")

    def test_of_those_who_race_for_a_channel_one_has_it(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.open("email", now=0)
        with ThreadPoolExecutor(RACERS) as racers:
            got = [*racers.map(lambda _: register.claim("email", now=0, until=10), range(RACERS))]
        claim(got.count(True) == 1, "exactly one")


class DurableDeliveryRegisterContract(DeliveryRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_a_restart_forgets_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.open("email", now=7)
        kept = told(sample_delivery(), "asked", now=5, handle="<1@x>")
        register.keep([kept])
        register.release("email", attempts=1, next_at=9, error="down")
        again = self.opened(tmp_path)
        claim(again.of("a-1") == (kept,), "all that was kept")
        claim(again.open("email", now=99).next_at == 9, "and how the channel is")
