"""Contract suite of the WitnessRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from answerable.core.tlog.note import VerifierKey
from answerable.ports.witness_register import Evidence
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.witness_register import EvidenceKind, WitnessRegister

ORIGIN = "log.example/one"
RACERS = 8


def key(seed: int = 1, origin: str = ORIGIN) -> VerifierKey:
    """Return a log's key."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return VerifierKey.ed25519(origin, private.public_key().public_bytes_raw())


def note(size: int) -> bytes:
    """Return a note; a register stores notes without parsing them."""
    return f"{ORIGIN}\n{size}\n\n— signed\n".encode()


def evidence(size: int, kind: EvidenceKind = "fork") -> Evidence:
    """Return a distinct piece of evidence for each size."""
    return Evidence(kind=kind, at=START, size=size, known=note(1), request=b"old 1\n\n" + note(size))


class WitnessRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> WitnessRegister:
        """Open a register that stores its state in that directory; opening again, after `closed`, is a restart."""
        raise NotImplementedError

    def closed(self, register: WitnessRegister) -> None:
        """Release what `opened` took."""
        raise NotImplementedError

    def test_a_log_is_known_once_it_was_added_and_by_its_hash_too(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.log(ORIGIN) is None, "an unknown log is not found")
        claim(register.add(key()), "a new log is added")
        claim(not register.add(key()), "the same key twice is known already")
        found = register.log(ORIGIN)
        claim(
            found is not None and found.keys == (key(),) and found.newest is None, "nothing is cosigned yet"
        )
        claim(register.log_of_hash(sha256(ORIGIN.encode()).hexdigest()) == found, "by hash it is the same")
        for other in ("", "..", "0" * 64, sha256(ORIGIN.encode()).hexdigest().upper()):
            claim(register.log_of_hash(other) is None, "another hash is no log's")

    def test_a_log_may_have_several_keys_and_keeps_them(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(key())
        claim(register.add(key(2)), "another key of the same log is added")
        register.add(key(3, "log.example/two"))
        self.closed(register)
        again = self.opened(tmp_path)
        found = again.log(ORIGIN)
        claim(found is not None and found.keys == (key(), key(2)), "keys survive a restart, in order")
        claim(list(again.origins()) == [ORIGIN, "log.example/two"], "every log is listed")

    def test_the_newest_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(key())
        claim(register.advance(ORIGIN, seen=None, newest=note(3)), "the first advance")
        claim(register.advance(ORIGIN, seen=note(3), newest=note(8)), "the second")
        register.add(key(2))
        self.closed(register)
        found = self.opened(tmp_path).log(ORIGIN)
        claim(found is not None and found.newest == note(8), "the newest is remembered, byte for byte")

    def test_only_who_saw_the_newest_advances(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(key())
        register.advance(ORIGIN, seen=None, newest=note(3))
        for seen in (None, note(2), note(3)[:-1]):
            claim(
                not register.advance(ORIGIN, seen=seen, newest=note(9)), "from another state nothing advances"
            )
        found = register.log(ORIGIN)
        claim(found is not None and found.newest == note(3), "and nothing changes")

    def test_of_those_who_race_one_advances(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(key())
        start, won = threading.Barrier(RACERS), []

        def race(number: int) -> None:
            start.wait(10)
            if register.advance(ORIGIN, seen=None, newest=note(number)):
                won.append(number)

        racers = [threading.Thread(target=race, args=(number,)) for number in range(1, RACERS + 1)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(len(won) == 1, "one of them")
        found = register.log(ORIGIN)
        claim(found is not None and found.newest == note(won[0]), "and its state is the one that is kept")

    def test_evidence_is_kept_once_and_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(key())
        claim(list(register.evidence(ORIGIN)) == [], "there is none at first")
        for size in (4, 5, 4):
            register.keep_evidence(ORIGIN, evidence(size))
        self.closed(register)
        kept = sorted(self.opened(tmp_path).evidence(ORIGIN), key=lambda one: one.size)
        claim(kept == [evidence(4), evidence(5)], "each piece once, as it was")

    def test_one_kind_of_evidence_leaves_room_for_another(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(key())
        for size in range(1, 200):
            register.keep_evidence(ORIGIN, evidence(size, "older"))
            register.keep_evidence(ORIGIN, evidence(size, "unproven"))
        register.keep_evidence(ORIGIN, evidence(7))
        kinds = [one.kind for one in register.evidence(ORIGIN)]
        claim(kinds.count("fork") == 1, "what only the log can make is kept")
        claim(len(kinds) < 100, "what strangers can make is bounded")
