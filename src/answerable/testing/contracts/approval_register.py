"""Contract suite of the ApprovalRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.approval.approval import Answer, ApprovalId, answered
from answerable.core.approval.attention_check import AttentionCheck
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.mandate.revocation import RevocationTarget
from answerable.errors import Malformed
from answerable.sdk.signing import signed_answer
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.samples import AUDIENCE, approval, signing_key

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.approval.approval import Approval
    from answerable.ports.approval_register import ApprovalRegister

RACERS = 8
LATER = UnixMillis(START + 1000)


def approved(waiting: Approval) -> Approval:
    """Return the approval after bob has approved it."""
    bob = PrincipalId("bob")
    token = signed_answer(
        waiting, nonce=bytes(32), by=bob, verdict="approve", audience=AUDIENCE, at=LATER, key=signing_key(bob)
    )
    answer = Answer(by=bob, groups=("approvers",), verdict="approve", comment="", at=LATER, token=token)
    return answered(waiting, answer)


class ApprovalRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> ApprovalRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_no_of_people_is_found_until_its_time_is_over_or_something_newer_is_there(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        place = (waiting.agent, waiting.mandate, waiting.action.digest)
        register.add(waiting)
        claim(register.denied(*place, LATER) is None, "what waits was not denied")
        denied = answered(waiting, replace(approved(waiting).answers[0], verdict="deny"))
        claim(register.replace(denied, was=waiting), "a no is kept")
        claim(register.denied(*place, LATER) == denied, "a no is found")
        claim(register.denied(*place, waiting.expires_at) is None, "until the question would have run out")
        register.add(replace(waiting, id=ApprovalId("a-9")))
        claim(register.denied(*place, LATER) is None, "what is newer counts")

    def test_what_was_added_is_found_as_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(approval())
        claim(register.find(approval().id) == approval(), "an approval is found whole")
        people_only = replace(approval("a-2"), internal=("case 77",))
        register.add(people_only)
        claim(register.find(people_only.id) == people_only, "with reasons for people only")
        with raises(Malformed, "approval.duplicate", "a second approval of the same id is refused"):
            register.add(approval())

    def test_only_the_very_same_action_matches(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        digest = waiting.action.digest
        other = approval(amount=9999).action.digest
        claim(register.matching(waiting.agent, waiting.mandate, digest, LATER) == waiting, "the same action")
        claim(register.matching(waiting.agent, waiting.mandate, other, LATER) is None, "another amount")

    def test_an_expired_or_ended_approval_matches_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        place = (waiting.agent, waiting.mandate, waiting.action.digest)
        claim(register.matching(*place, waiting.expires_at) is None, "at its end it is over")
        register.replace(replace(waiting, state="denied"), was=waiting)
        claim(register.matching(*place, LATER) is None, "a denied one does not match")
        register.add(approval("a-2"))
        claim(register.matching(*place, LATER) == approval("a-2"), "a new one for the same action does")

    def test_a_canary_is_kept_and_listed_and_no_action_finds_or_uses_it(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        canary = AttentionCheck(nonce=bytes(32), wrong="amount", argument="amount")
        waiting = replace(approval(), canary=canary)
        register.add(waiting)
        place = (waiting.agent, waiting.mandate, waiting.action.digest)
        claim(register.find(waiting.id) == waiting, "it is found by its id, whole")
        claim([*register.all(pending_only=True, now=LATER)] == [waiting], "it waits like any other")
        claim(register.matching(*place, LATER) is None, "the very same action does not find it")
        yes = approved(waiting)
        claim(register.replace(yes, was=waiting), "whatever is written over it")
        claim(register.matching(*place, LATER) is None, "approved it is not found either")
        claim(not register.use(waiting.id, LATER), "and cannot be used")
        no = replace(yes, state="denied", answers=(replace(yes.answers[0], verdict="deny"),))
        claim(register.replace(no, was=yes), "and denied")
        claim(register.denied(*place, LATER) is None, "it says no to nothing")
        told = replace(no, state="void", canary=replace(canary, ended="caught"))
        claim(register.replace(told, was=no), "it is told")
        claim(register.find(waiting.id) == told, "and kept as it ended")

    def test_replacing_what_has_changed_meanwhile_changes_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        claim(register.replace(approved(waiting), was=waiting), "the first answer is taken")
        claim(not register.replace(replace(waiting, state="denied"), was=waiting), "the second came too late")
        claim(register.find(waiting.id) == approved(waiting), "the first answer stays")
        claim(
            not register.replace(approval("a-9"), was=approval("a-9")), "what is unknown cannot be replaced"
        )

    def test_of_many_that_are_replaced_at_once_each_goes_by_what_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = [approval(f"a-{number}", amount=number) for number in range(5)]
        for one in waiting[:4]:
            register.add(one)
        denied = replace(waiting[1], state="denied")
        register.replace(denied, was=waiting[1])
        changes = [(approved(one), one) for one in waiting]
        swapped = register.replace_many(
            [*changes, (approved(waiting[0]), waiting[0]), (waiting[2], waiting[3])]
        )
        claim(swapped == (True, False, True, True, False, False, False), "each says whether it was as it was")
        found = [register.find(one.id) for one in waiting]
        claim(found[0] == approved(waiting[0]), "what was as it was is replaced")
        claim(found[1] == denied, "what somebody else changed stays")
        claim(found[2:4] == [approved(one) for one in waiting[2:4]], "also after one that stays")
        claim(found[4] is None, "what is unknown is not added")
        claim(register.replace_many([]) == (), "of none there is nothing to say")
        place = (waiting[1].agent, waiting[1].mandate, waiting[1].action.digest)
        claim(register.matching(*place, LATER) is None, "an action finds what is there")
        pending = [one.id for one in register.all(pending_only=True, now=LATER)]
        claim(pending == [], "none of them waits any more")

    def test_an_approval_is_used_once_and_only_in_time(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        claim(not register.use(waiting.id, LATER), "a pending one cannot be used")
        register.replace(approved(waiting), was=waiting)
        claim(not register.use(waiting.id, waiting.expires_at), "nor an expired one")
        claim(register.use(waiting.id, LATER), "an approved one can")
        claim(not register.use(waiting.id, LATER), "but once")
        found = register.find(waiting.id)
        claim(found is not None and found.state == "used", "and then it is used")
        place = (waiting.agent, waiting.mandate, waiting.action.digest)
        claim(register.matching(*place, LATER) is None, "a used one matches nothing")

    def test_what_an_intent_without_a_place_used_can_be_used_again(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        register.replace(approved(waiting), was=waiting)
        register.give_back(waiting.id)
        claim(register.use(waiting.id, LATER), "it is used")
        register.give_back(waiting.id)
        claim(register.find(waiting.id) == approved(waiting), "then it waits as before")
        claim(register.use(waiting.id, LATER), "and can be used")

    def test_what_is_used_cannot_be_replaced_as_if_it_were_not(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        yes = approved(waiting)
        register.replace(yes, was=waiting)
        claim(register.use(waiting.id, LATER), "it is used")
        claim(not register.replace(replace(yes, state="denied"), was=yes), "a denial came too late")
        used = register.find(waiting.id)
        claim(used is not None and used.state == "used", "it stays used")
        if used is not None:
            claim(register.replace(replace(used, reasons=("r",)), was=used), "what knows of the use is taken")

    def test_racing_users_use_an_approval_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        register.add(waiting)
        register.replace(approved(waiting), was=waiting)
        wins: list[bool] = []
        racers = [
            threading.Thread(target=lambda: wins.append(register.use(waiting.id, LATER)))
            for _ in range(RACERS)
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(sorted(wins) == [False] * (RACERS - 1) + [True], "one racer wins")

    def test_all_are_listed_newest_first_and_pending_ones_on_their_own(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number, identity in enumerate(("a-1", "a-2", "a-3")):
            register.add(approval(identity, amount=number))
        second = approval("a-2", amount=1)
        register.replace(approved(second), was=second)
        everything = [str(found.id) for found in register.all(pending_only=False, now=LATER)]
        pending = [str(found.id) for found in register.all(pending_only=True, now=LATER)]
        late = list(register.all(pending_only=True, now=second.expires_at))
        claim(everything == ["a-3", "a-2", "a-1"], "newest first, also after a change")
        claim(pending == ["a-3", "a-1"], "pending ones only")
        claim(late == [], "an expired one waits for nobody")


class DurableApprovalRegisterContract(ApprovalRegisterContract):
    """Contract cases for registers that persist their state."""

    def stored(self, register: ApprovalRegister) -> None:
        """Wait until the rows of what was used are stored; there is nothing to wait for where they are at once."""

    def test_approvals_answers_and_uses_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = approval()
        for one in (waiting, approval("a-2", amount=1), approval("a-3", amount=2)):
            register.add(one)
        register.replace(approved(waiting), was=waiting)
        third = approval("a-3", amount=2)
        register.replace(approved(third), was=third)
        register.use(third.id, LATER)
        register.keep_use(third.id)
        fifth, sixth = (approval(f"a-{number}", amount=number) for number in (6, 7))
        for one in (fifth, sixth):
            register.add(one)
        register.replace_many([(approved(one), one) for one in (fifth, sixth)])
        names = (RevocationTarget("agent", "scout"), RevocationTarget("hop", "H" * 43))
        register.add(replace(approval("a-4", amount=3), names=names))
        canary = AttentionCheck(nonce=bytes(range(32)), wrong="recipient", argument="to")
        test = replace(approval("a-5", amount=4), canary=canary)
        register.add(test)
        self.stored(register)
        again = self.opened(tmp_path)
        claim(again.find(test.id) == test, "that it is a test is kept whole")
        claim(
            again.matching(test.agent, test.mandate, test.action.digest, LATER) is None,
            "and after a restart no action finds it either",
        )
        kept = again.find(approval("a-4").id)
        claim(kept is not None and kept.names == names, "what it may be revoked under is kept")
        claim(again.find(waiting.id) == approved(waiting), "an answer is found whole after a restart")
        claim(again.find(approval("a-2").id) == approval("a-2", amount=1), "a deferral too")
        many = [again.find(one.id) for one in (fifth, sixth)]
        claim(many == [approved(one) for one in (fifth, sixth)], "and many at once")
        claim(not again.use(third.id, LATER), "what was used stays used")
        claim(again.use(waiting.id, LATER), "what was approved can be used")
        place = (waiting.agent, waiting.mandate, approval(amount=1).action.digest)
        claim(again.matching(*place, LATER) == approval("a-2", amount=1), "and is matched by its action")
