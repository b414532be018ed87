"""Contract suite of the PasskeyRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.identity.people.invitation import invitation, invitation_code
from answerable.core.identity.people.passkey import PASSKEYS_OF_ONE_MAX, Passkey, check_algorithm
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.soft_passkey import RP_ID, SoftPasskey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.core.identity.people.invitation import Invitation
    from answerable.ports.passkey_register import PasskeyRegister

RACERS = 16
PASSKEYS_MAX = 24
INVITATIONS_MAX = 20
"""Limit of the register in these tests."""


def sample_passkey(seed: str = "phone", *, person: str = "alice", count: int = 0) -> Passkey:
    """Return a sample passkey with its own key."""
    device = SoftPasskey(seed=seed)
    return Passkey(
        id=device.id,
        public_key=device.public_key,
        key=check_algorithm(device.public_key),
        person=PrincipalId(person),
        label=f"the {seed}",
        rp_id=RP_ID,
        aaguid="00000000-0000-0000-0000-000000000000",
        sign_count=count,
        backup_eligible=False,
        transports=("internal",),
        created_at=START,
        attested=False,
    )


def sample_invitation(number: int = 0, *, seconds: int = 900) -> Invitation:
    """Return a sample invitation."""
    code = invitation_code(number.to_bytes(16))
    return invitation(code, person=PrincipalId(f"guest-{number}"), by="operator", now=START, seconds=seconds)


class PasskeyRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> PasskeyRegister:
        """Open a register of at most PASSKEYS_MAX and INVITATIONS_MAX, stored, if at all, in that directory; opening
        again is a restart."""
        raise NotImplementedError

    def test_what_was_added_is_found_whole_and_by_whose_it_is(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        phone, key, other = sample_passkey(), sample_passkey("key"), sample_passkey("his", person="bob")
        for one in (phone, key, other):
            register.add(one)
        claim(register.find(key.id) == key, "it is found whole")
        claim(register.find(b"nobody's") is None, "another is not there")
        claim(list(register.of(PrincipalId("alice"))) == [phone, key], "those of one person, oldest first")
        claim(list(register.all()) == [phone, key, other], "and all of them")

    def test_an_id_comes_in_once_also_after_it_was_removed(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(sample_passkey())
        with raises(Malformed, "passkey.duplicate", "it is there"):
            register.add(replace(sample_passkey(), person=PrincipalId("mallory")))
        claim(register.remove(sample_passkey().id, at=START), "it stood")
        claim(not register.remove(sample_passkey().id, at=START), "it does not any more")
        claim(register.find(sample_passkey().id) is None and not register.all(), "it is not shown")
        with raises(Malformed, "passkey.duplicate", "it does not come back"):
            register.add(sample_passkey())

    def test_one_that_was_removed_before_it_came_does_not_come(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(not register.remove(sample_passkey().id, at=START), "it did not stand")
        with raises(Malformed, "passkey.duplicate", "who was removed does not come in"):
            register.add(sample_passkey())

    def test_the_sign_count_only_goes_up_but_where_a_device_does_not_count(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(sample_passkey(count=3))
        register.add(sample_passkey("key"))
        counting, silent = sample_passkey().id, sample_passkey("key").id
        told = [register.count_up(counting, count) for count in (3, 2, 0, 5, 5, 9)]
        claim(told == [False, False, False, True, False, True], "each count is passed once")
        claim(
            [register.count_up(silent, 0) for _ in range(2)] == [True, True], "who does not count may go on"
        )
        claim(register.count_up(silent, 1) and not register.count_up(silent, 0), "until it has begun to")
        found = register.find(counting)
        claim(found is not None and found.sign_count == 9, "it is kept")
        register.remove(counting, at=START)
        claim(not register.count_up(counting, 10), "a removed one counts no more")
        claim(not register.count_up(b"nobody's", 10), "nor does an unknown one")

    def test_an_invitation_ends_the_earlier_ones_of_its_person_and_nobody_elses(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, his = sample_invitation(1), sample_invitation(3)
        second = replace(sample_invitation(2), person=first.person)
        for one in (first, his, second):
            register.invite(one)
        kept = register.invitation(first.digest)
        claim(kept is not None and not kept.is_good(START), "it is good no longer")
        claim(register.use_invitation(first.digest, now=START) is None, "and brings nobody in")
        claim(register.use_invitation(his.digest, now=START) is not None, "somebody else's is as it was")
        claim(register.use_invitation(second.digest, now=START) is not None, "the last one is good")

    def test_the_number_of_passkeys_is_bounded_for_each_and_for_all(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number in range(PASSKEYS_OF_ONE_MAX):
            register.add(sample_passkey(f"k{number}"))
        with raises(Malformed, "passkey.full", "one person has enough"):
            register.add(sample_passkey("one-more"))
        for number in range(PASSKEYS_MAX - PASSKEYS_OF_ONE_MAX):
            register.add(sample_passkey(f"b{number}", person="bob"))
        with raises(Malformed, "passkey.full", "there are enough"):
            register.add(sample_passkey("c", person="carol"))
        register.remove(sample_passkey("k0").id, at=START)
        register.add(sample_passkey("one-more"))
        claim(len(register.all()) == PASSKEYS_MAX, "a removed one makes room")

    def test_an_invitation_is_used_once_and_says_for_whom_it_is(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = sample_invitation()
        register.invite(one)
        claim(register.invitation(one.digest) == one, "it is there to be looked at")
        used = register.use_invitation(one.digest, now=START)
        claim(used is not None and (used.person, used.used_at) == (one.person, START), "the first use counts")
        claim(register.use_invitation(one.digest, now=START) is None, "the second does not")
        claim(register.use_invitation(bytes(32), now=START) is None, "nor does an unknown one")
        with raises(Malformed, "invitation.duplicate", "a used one cannot be had anew"):
            register.invite(one)

    def test_an_invitation_is_good_from_when_it_was_made_until_its_end(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number, at in enumerate((START - 1, START + 900_000)):
            one = sample_invitation(number)
            register.invite(one)
            claim(
                register.use_invitation(one.digest, now=UnixMillis(at)) is None, "outside its time: nothing"
            )
        early, late = sample_invitation(0), sample_invitation(1)
        claim(register.use_invitation(early.digest, now=START) is not None, "too early uses nothing up")
        claim(register.use_invitation(late.digest, now=START) is None, "too late uses it up")

    def test_the_number_of_invitations_is_bounded_until_old_ones_are_forgotten(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number in range(INVITATIONS_MAX):
            register.invite(sample_invitation(number, seconds=60 + number))
        with raises(Malformed, "invitation.full", "one too many"):
            register.invite(sample_invitation(INVITATIONS_MAX))
        claim(register.forget_invitations(before=UnixMillis(START + 62_000)) == 2, "old ones are dropped")
        register.invite(sample_invitation(INVITATIONS_MAX))

    def test_of_many_at_once_one_uses_an_invitation_and_one_passes_a_count(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = sample_invitation()
        register.invite(one)
        register.add(sample_passkey())
        used = _racing(lambda: register.use_invitation(one.digest, now=START) is not None)
        claim(used == 1, "one uses it")
        claim(_racing(lambda: register.count_up(sample_passkey().id, 1)) == 1, "one assertion counts")


class DurablePasskeyRegisterContract(PasskeyRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_all_of_it_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(sample_passkey())
        register.add(sample_passkey("key"))
        register.count_up(sample_passkey().id, 7)
        register.remove(sample_passkey("key").id, at=START)
        for number in range(2):
            register.invite(sample_invitation(number))
        register.use_invitation(sample_invitation(0).digest, now=START)
        again = self.opened(tmp_path)
        claim(list(again.all()) == [sample_passkey(count=7)], "what stands, with its count")
        claim(not again.count_up(sample_passkey().id, 7), "the count holds")
        with raises(Malformed, "passkey.duplicate", "what was removed stays so"):
            again.add(sample_passkey("key"))
        claim(again.use_invitation(sample_invitation(0).digest, now=START) is None, "used stays used")
        claim(again.use_invitation(sample_invitation(1).digest, now=START) is not None, "unused is good")


def _racing(call: Callable[[], bool]) -> int:
    won: list[bool] = []
    barrier = threading.Barrier(RACERS)

    def race() -> None:
        barrier.wait()
        won.append(call())

    racers = [threading.Thread(target=race) for _ in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return sum(won)
