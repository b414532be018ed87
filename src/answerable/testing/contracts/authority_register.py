"""Contract suite of the AuthorityRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.authority import STATES, Authority, AuthoritySet
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.identity.svid.authority import AuthorityState
    from answerable.ports.authority_register import AuthorityRegister

OTHER = TrustDomain("other.example")
RACERS = 8


def authority(number: int = 1, state: AuthorityState = "prepared") -> Authority:
    """Return an authority that differs from those with other numbers in every field."""
    return Authority(
        id=f"{number:032x}",
        state=state,
        certificate=bytes((0x30, number)) * 400,
        jwt_kid=f"jwt-{number}",
        jwt_jwk=f'{{"kid":"jwt-{number}"}}',
        wit_kid=f"wit-{number}",
        wit_jwk=f'{{"kid":"wit-{number}"}}',
        not_before=UnixMillis(START + number),
        not_after=UnixMillis(START + number * 1000),
        prepared_at=UnixMillis(START + number * 10),
        since=UnixMillis(START + number * 100),
    )


FIRST = AuthoritySet(authorities=(authority(),), sequence=2**52, revision=1)


class AuthorityRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> AuthorityRegister:
        """Open a register that stores its state in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_nothing_is_read_before_anything_was_written(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.read() is None, "no authorities")
        claim(dict(register.federated()) == {}, "and no foreign domains")

    def test_what_was_written_is_read_whole_and_in_order(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        # Newest id first, to detect a register that orders by id.
        every = tuple(authority(number, state) for number, state in zip((9, 7, 8, 3), STATES, strict=True))
        written = AuthoritySet(authorities=every, sequence=7, revision=3, beginning="ab" * 16)
        claim(register.replace(written, expected=None), "nothing was there")
        claim(register.read() == written, "all of it, in the same order")
        nobody = AuthoritySet(authorities=(), sequence=8, revision=4)
        claim(register.replace(nobody, expected=3), "also none at all")
        claim(register.read() == nobody, "which is not the same as nothing written")

    def test_only_who_has_seen_the_newest_state_replaces_it(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(not register.replace(FIRST, expected=0), "nothing is there, not revision 0")
        claim(register.replace(FIRST, expected=None), "the first")
        after = replace(FIRST, revision=2, sequence=FIRST.sequence + 1)
        claim(not register.replace(after, expected=None), "something is there by now")
        claim(not register.replace(after, expected=2), "and it has another revision")
        claim(register.read() == FIRST, "who lost changed nothing")
        claim(register.replace(after, expected=1), "who knows it wins")
        claim(register.read() == after, "and is read")

    def test_of_racing_writers_one_wins_each_revision(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.replace(FIRST, expected=None)
        won: list[int] = []

        def race() -> None:
            for revision in range(1, 11):
                if register.replace(replace(FIRST, revision=revision + 1), expected=revision):
                    won.append(revision)

        racers = [threading.Thread(target=race) for _ in range(RACERS)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(len(won) == len(set(won)), "no revision was won twice")
        found = register.read()
        claim(found is not None and found.revision == len(won) + 1, "and none was lost")

    def test_foreign_bundles_are_kept_as_they_are_replaced_and_forgotten(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        third = TrustDomain("third.example")
        register.keep_federated(OTHER, b'{"keys":[]}')
        register.keep_federated(third, b"\x00\xff not even JSON")
        register.keep_federated(OTHER, b'{"keys":[1]}')
        found = dict(register.federated())
        claim(found == {OTHER: b'{"keys":[1]}', third: b"\x00\xff not even JSON"}, "the newest of each")
        claim(register.drop_federated(OTHER), "one is forgotten")
        claim(not register.drop_federated(OTHER), "and is not known then")
        claim(list(register.federated()) == [third], "the other stays")
        claim(register.read() is None, "authorities are another matter")


class DurableAuthorityRegisterContract(AuthorityRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_all_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.replace(FIRST, expected=None)
        register.keep_federated(OTHER, b"bundle")
        again = self.opened(tmp_path)
        claim(again.read() == FIRST, "the authorities")
        claim(dict(again.federated()) == {OTHER: b"bundle"}, "the foreign bundles")
        claim(not again.replace(FIRST, expected=None), "and nobody begins anew")

    def test_what_one_process_wrote_another_reads_at_once(self, tmp_path: Path) -> None:
        first, second = self.opened(tmp_path), self.opened(tmp_path)
        first.replace(FIRST, expected=None)
        claim(second.read() == FIRST, "what the other one wrote")
        after = replace(FIRST, revision=2)
        claim(second.replace(after, expected=1), "can be replaced")
        claim(not first.replace(after, expected=1), "once")
        second.keep_federated(OTHER, b"bundle")
        claim(dict(first.federated()) == {OTHER: b"bundle"}, "foreign bundles too")
