"""What every MandateRegister promises. Subclass in a test module, say how to open one, and the tests run on it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.ledger.leaves import Reference
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.samples import mandate

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.mandate_register import MandateRegister

M1 = MandateId("m-1")
RACERS = 8


class MandateRegisterContract:
    """For any register. `tmp_path` is an empty directory of the test's own."""

    def opened(self, tmp_path: Path) -> MandateRegister:
        """A register whose state is kept in that directory, if anywhere; opening again is a restart."""
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
        claim(register.reserve(M1) is None, "an unknown mandate has no budget")

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
        claim(register.reserve(M1) is None, "a closed mandate reserves nothing")
        claim(register.find(M1) == mandate(), "a closed mandate can still be read")

    def test_closing_an_unknown_mandate_opens_nothing_later(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.close(M1)
        claim(register.state(M1) == "closed", "an unknown mandate is closed already")

    def test_a_budget_is_spent_to_the_last_call_and_no_further(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=2))
        counts = [register.reserve(M1) for _ in range(3)]
        claim(counts == [1, 2, None], "two calls, then none")
        register.give_back(M1)
        claim(register.reserve(M1) == 2, "a call given back can be reserved again")
        claim(register.calls_used(M1) == 2, "what is used is what was reserved")

    def test_giving_back_never_goes_below_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=1))
        register.give_back(M1)
        claim(register.reserve(M1) == 1, "one call")
        claim(register.reserve(M1) is None, "and not two")

    def test_restoring_never_lowers_what_is_used(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.restore_used(M1, 2)
        register.restore_used(M1, 1)
        register.add(mandate(calls_max=3))
        claim(register.calls_used(M1) == 2, "the higher count stays, even when it came before the mandate")
        claim([register.reserve(M1), register.reserve(M1)] == [3, None], "one call was left")

    def test_racing_callers_never_exceed_a_budget(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(mandate(calls_max=100))
        counts: list[int] = []

        def race() -> None:
            counts.extend(count for _ in range(50) if (count := register.reserve(M1)) is not None)

        racers = [threading.Thread(target=race) for _ in range(RACERS)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(sorted(counts) == list(range(1, 101)), "each call is given out once")

    def test_all_are_listed_newest_first(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for identity in ("m-1", "m-3", "m-2"):
            register.add(mandate(identity))
        register.close(MandateId("m-3"))
        listed = [str(found.id) for found in register.all()]
        claim(listed == ["m-2", "m-3", "m-1"], "newest first, closed ones among them")


class DurableMandateRegisterContract(MandateRegisterContract):
    """For a register that promises to survive a restart."""

    def test_kept_counts_survive_a_restart_and_belong_to_one_log(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(
            register.used_up_to("log/a") == 0 and not register.kept_used("log/a"), "nothing is kept at first"
        )
        register.keep_used("log/a", {M1: 3, MandateId("m-2"): 1}, 17)
        register.keep_used("log/a", {M1: 4}, 25)
        register.keep_used("log/b", {M1: 9}, 11)
        again = self.opened(tmp_path)
        kept = {M1: 4, MandateId("m-2"): 1}
        claim(dict(again.kept_used("log/a")) == kept, "a count is replaced, those of others stay")
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
        again = self.opened(tmp_path)
        claim(again.find(MandateId("m-2")) == mandate("m-2"), "a mandate is found whole after a restart")
        claim(again.state(M1) == "closed", "closed stays closed")
        claim(again.state(MandateId("m-2")) == "open", "open stays open")
        claim([str(found.id) for found in again.all()] == ["m-2", "m-1"], "in the same order")
