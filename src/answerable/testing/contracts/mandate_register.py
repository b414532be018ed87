"""Contract suite of the MandateRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.leaves import Reference
from answerable.core.mandate.budget import ONE_CALL, Account, Lack
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.documents.budget_name import AMOUNT_MAX
from answerable.errors import Malformed
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.samples import mandate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.ports.mandate_register import MandateRegister

M1 = MandateId("m-1")
RACERS = 8


def account(calls: int, *, id: str = M1, **limits: int) -> Account:
    """Return an account, by default of the first mandate; limits other than calls by name."""
    return Account(id=id, limits={"calls": calls, **limits})


def took(register: MandateRegister, calls: int) -> int | None:
    """Reserve one call under the first mandate with this limit; return the number of calls used, or None if refused."""
    found = register.reserve((account(calls),), ONE_CALL)
    return found if isinstance(found, int) else None


class MandateRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> MandateRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_added_is_found_as_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate())
        claim(register.find(M1) == mandate(), "a mandate is found whole, with its token")
        claim(register.state(M1) == "open", "an added mandate is open")
        claim(register.calls_used(M1) == 0, "nothing of its budget is used")

    def test_unknown_mandates_are_closed_and_reserve_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.find(M1) is None, "an unknown mandate is not found")
        claim(register.state(M1) == "closed", "an unknown mandate is closed")
        claim(took(register, 3) is None, "an unknown mandate has no budget")

    def test_the_same_id_is_added_only_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=1))
        with raises(Malformed, "mandate.duplicate", "a second mandate of the same id is refused"):
            register.add(mandate(calls_max=1000))
        found = register.find(M1)
        claim(found is not None and found.calls_max == 1, "the first one stays in force")

    def test_a_closed_mandate_stays_to_be_read_and_grants_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate())
        register.close(M1)
        register.close(M1)
        claim(register.state(M1) == "closed", "closing twice is closing")
        claim(took(register, 3) is None, "a closed mandate reserves nothing")
        claim(register.find(M1) == mandate(), "a closed mandate can still be read")

    def test_closing_an_unknown_mandate_opens_nothing_later(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.close(M1)
        claim(register.state(M1) == "closed", "an unknown mandate is closed already")

    def test_a_budget_is_spent_to_the_last_call_and_no_further(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=2))
        counts = [took(register, 2) for _ in range(3)]
        claim(counts == [1, 2, None], "two calls, then none")
        register.give_back((M1,), ONE_CALL)
        claim(took(register, 2) == 2, "a call given back can be reserved again")
        claim(register.calls_used(M1) == 2, "what is used is what was reserved")

    def test_giving_back_never_goes_below_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=1))
        register.give_back((M1,), ONE_CALL)
        claim(took(register, 1) == 1, "one call")
        claim(took(register, 1) is None, "and not two")

    def test_restoring_never_lowers_what_is_used(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.restore_used(M1, {"calls": 2, "rows": 7})
        register.restore_used(M1, {"calls": 1, "bytes": 5})
        register.add(mandate(calls_max=3))
        claim(register.calls_used(M1) == 2, "the higher count stays, even when it came before the mandate")
        claim(dict(register.used(M1)) == {"calls": 2, "rows": 7, "bytes": 5}, "of each budget by itself")
        claim([took(register, 3), took(register, 3)] == [3, None], "one call was left")

    def test_all_accounts_are_reserved_from_or_none(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate())
        accounts = (account(9, rows=100), account(9, id="hop-1", rows=50), account(9, id="hop-2", rows=500))
        wanted = {"calls": 1, "rows": 40}
        claim(register.lack(accounts, wanted) is None, "all three have enough")
        claim(register.reserve(accounts, wanted) == 1, "so it is taken")
        found = register.reserve(accounts, wanted)
        claim(
            found == Lack(account="hop-1", budget="rows", limit=50, left=10, wanted=40),
            "the account in the middle has not enough left, and is named",
        )
        claim(register.lack(accounts, wanted) == found, "which could be asked before")
        used = [dict(register.used(one.id)) for one in accounts]
        claim(used == [wanted] * 3, "nothing more was taken, not even from those that had enough")
        register.give_back(("hop-1",), {"rows": 30})
        claim(register.reserve(accounts, wanted) == 2, "what was given back is enough")

    def test_what_was_used_beyond_a_reservation_counts_whatever_the_limit(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate())
        accounts = (account(9, bytes=100),)
        claim(register.reserve(accounts, {"calls": 1, "bytes": 60}) == 1, "there is room")
        register.take_more((M1,), {"bytes": 70})
        claim(dict(register.used(M1)) == {"calls": 1, "bytes": 130}, "what was used is used")
        claim(register.reserve(accounts, {"calls": 1, "bytes": 0}) == 2, "what takes none of it is let pass")
        claim(isinstance(register.reserve(accounts, {"calls": 1, "bytes": 1}), Lack), "not one byte more")
        register.take_more((M1,), {"bytes": AMOUNT_MAX})
        claim(register.used(M1)["bytes"] == AMOUNT_MAX, "counts stop at 2^53 - 1")

    def test_an_amount_without_a_limit_is_counted_and_bounded(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate())
        accounts = (account(9),)
        claim(register.reserve(accounts, {"calls": 1, "rows": AMOUNT_MAX}) == 1, "the account limits no rows")
        claim(
            isinstance(register.reserve(accounts, {"calls": 1, "rows": 1}), Lack), "and no count goes further"
        )

    def test_racing_callers_never_exceed_a_budget(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=100))
        counts: list[int] = []

        def race() -> None:
            counts.extend(count for _ in range(50) if (count := took(register, 100)) is not None)

        _race(race)
        claim(sorted(counts) == list(range(1, 101)), "each call is given out once")

    def test_racing_callers_never_exceed_one_of_two_accounts_by_one_unit(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate())
        accounts = (account(10_000, rows=1_000), account(10_000, id="hop-1", rows=700))
        spent: list[int] = []

        def race() -> None:
            for size in (7, 3, 1) * 100:
                if isinstance(register.reserve(accounts, {"calls": 1, "rows": size}), int):
                    spent.append(size)

        _race(race)
        claim(sum(spent) == 700, "the smaller of the two is spent to the last row, and no further")
        claim(register.used(M1)["rows"] == register.used("hop-1")["rows"] == 700, "both count the same")

    def test_all_are_listed_newest_first(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for identity in ("m-1", "m-3", "m-2"):
            register.add(mandate(identity))
        register.close(MandateId("m-3"))
        listed = [str(found.id) for found in register.all()]
        claim(listed == ["m-2", "m-3", "m-1"], "newest first, closed ones among them")

    def test_an_agent_hands_a_mandate_on_to_so_many_and_no_more(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        scout, rover, other = AgentId("scout"), AgentId("rover"), AgentId("other")
        claim(register.admit(M1, scout, rover, width_max=1), "the first")
        claim(register.admit(M1, scout, rover, width_max=1), "the same one again is no more of them")
        claim(not register.admit(M1, scout, other, width_max=1), "a second one is one too many")
        claim(register.admit(M1, rover, other, width_max=1), "another agent has places of its own")
        claim(register.admit(MandateId("m-2"), scout, other, width_max=1), "another mandate, too")
        with ThreadPoolExecutor(RACERS) as pool:
            names = [AgentId(f"racer-{number}") for number in range(RACERS)]
            found = [*pool.map(lambda name: register.admit(M1, other, name, width_max=3), names)]
        claim(found.count(True) == 3, "of those who race, as many as there are places")


def _race(race: Callable[[], None]) -> None:
    racers = [threading.Thread(target=race) for _ in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()


class DurableMandateRegisterContract(MandateRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_kept_counts_survive_a_restart_and_belong_to_one_log(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(
            register.used_up_to("log/a") == 0 and not register.kept_used("log/a"), "nothing is kept at first"
        )
        register.keep_used("log/a", {M1: {"calls": 3, "rows": 5}, "hop-1": {"calls": 1}}, 17)
        register.keep_used("log/a", {M1: {"calls": 4, "rows": 2}}, 25)
        register.keep_used("log/b", {M1: {"calls": 9}}, 11)
        again = self.opened(tmp_path)
        kept = {one: dict(amounts) for one, amounts in again.kept_used("log/a").items()}
        claim(
            kept == {M1: {"calls": 4, "rows": 2}, "hop-1": {"calls": 1}},
            "a count is replaced, also by a lower one; those of others stay",
        )
        claim(again.used_up_to("log/a") == 25, "it is known up to where was counted")
        claim(again.used_up_to("log/b") == 11, "each log has counts of its own")

    def test_where_a_mandate_was_issued_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        place = Reference(entry=7, leaf="ab" * 32, log="log/a")
        claim(register.issued(M1) is None, "nothing is known of an unknown mandate")
        register.add(mandate(), issued=place)
        register.add(mandate("m-2"))
        again = self.opened(tmp_path)
        claim(again.issued(M1) == place, "it is known in which log and entry it was issued")
        claim(again.issued(MandateId("m-2")) is None, "what was not said is not guessed")

    def test_mandates_and_their_closing_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for identity in ("m-1", "m-2"):
            register.add(mandate(identity))
        register.close(M1)
        claim(register.admit(M1, AgentId("a"), AgentId("b"), width_max=1), "a place is free")
        again = self.opened(tmp_path)
        claim(again.find(MandateId("m-2")) == mandate("m-2"), "a mandate is found whole after a restart")
        claim(again.state(M1) == "closed", "closed stays closed")
        claim(
            not again.admit(M1, AgentId("a"), AgentId("c"), width_max=1), "who was handed on to stays counted"
        )
        claim(again.state(MandateId("m-2")) == "open", "open stays open")
        claim([str(found.id) for found in again.all()] == ["m-2", "m-1"], "in the same order")
