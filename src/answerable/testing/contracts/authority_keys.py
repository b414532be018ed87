"""Contract suite of the AuthorityKeys port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from answerable.errors import Unavailable
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.authority_keys import AuthorityKeys

NAME = "0123456789abcdef-x509"
MESSAGES = (b"", b"x", b"to be signed" * 10_000)
RACERS = 8


def fits(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether this is an ECDSA signature over SHA-256 by that key."""
    try:
        public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def same(one: ec.EllipticCurvePublicKey | None, other: ec.EllipticCurvePublicKey) -> bool:
    """Whether two public keys are equal."""
    return one is not None and one.public_numbers() == other.public_numbers()


class AuthorityKeysContract:
    """Contract cases for any store of keys. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> AuthorityKeys:
        """Open a store that stores its keys, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_key_signs_what_its_public_half_verifies(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        public = keys.create(NAME)
        claim(isinstance(public.curve, ec.SECP256R1), "keys are on P-256")
        for message in MESSAGES:
            signature = keys.sign(NAME, message)
            claim(fits(public, signature, message), "the signature fits key and message")
            claim(not fits(public, signature, message + b"!"), "and no other message")
        claim(same(keys.public(NAME), public), "the public half is found by the name")

    def test_each_name_has_a_key_of_its_own(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        first, second = keys.create("a-x509"), keys.create("a-jwt")
        claim(not same(first, second), "two names, two keys")
        claim(fits(first, keys.sign("a-x509", b"m"), b"m"), "the first signs by its name")
        claim(fits(second, keys.sign("a-jwt", b"m"), b"m"), "and so does the second")

    def test_a_name_that_is_taken_is_refused_and_its_key_stays(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        public = keys.create(NAME)
        with raises(Unavailable, "authority_keys.exists", "a name is given once"):
            keys.create(NAME)
        claim(same(keys.public(NAME), public), "the key that was there is there")
        claim(fits(public, keys.sign(NAME, b"m"), b"m"), "and signs")

    def test_what_was_never_made_has_no_public_half_and_signs_nothing(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        keys.create("another")
        claim(keys.public(NAME) is None, "nothing is found")
        with raises(Unavailable, "authority_keys.missing", "nothing is signed"):
            keys.sign(NAME, b"m")

    def test_a_destroyed_key_signs_nothing_more(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        keys.create(NAME)
        other = keys.create("another")
        keys.sign(NAME, b"m")
        for _ in range(2):
            keys.destroy(NAME)
        claim(keys.public(NAME) is None, "it is gone")
        with raises(Unavailable, "authority_keys.missing", "and signs nothing"):
            keys.sign(NAME, b"m")
        claim(fits(other, keys.sign("another", b"m"), b"m"), "others are left alone")

    def test_what_never_was_may_be_destroyed(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        keys.destroy(NAME)
        claim(keys.public(NAME) is None, "nothing came of it")

    def test_several_threads_may_sign_at_once(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        public = keys.create(NAME)
        signed: list[tuple[bytes, bytes]] = []

        def race(number: int) -> None:
            for step in range(5):
                message = f"{number}:{step}".encode()
                signed.append((message, keys.sign(NAME, message)))

        racers = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(len(signed) == RACERS * 5, "everybody got signatures")
        claim(all(fits(public, signature, message) for message, signature in signed), "all of them fit")


class DurableAuthorityKeysContract(AuthorityKeysContract):
    """Contract cases for stores that persist their state."""

    def test_keys_survive_a_restart_and_destroyed_ones_stay_gone(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        public = keys.create(NAME)
        keys.create("gone")
        keys.destroy("gone")
        again = self.opened(tmp_path)
        claim(same(again.public(NAME), public), "the same key")
        claim(fits(public, again.sign(NAME, b"m"), b"m"), "it signs")
        claim(again.public("gone") is None, "what was destroyed stays so")

    def test_only_names_of_keys_are_taken(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        for name in (
            "",
            "a" * 65,
            "../outside",
            "A",
            "a.b",
            "a b",
            "a\n",
            "\N{LATIN SMALL LETTER E WITH ACUTE}",
        ):
            for ask in (keys.create, keys.public, keys.destroy):
                with raises(Unavailable, "authority_keys.name", "a name is 1 to 64 of a-z 0-9 -"):
                    ask(name)
