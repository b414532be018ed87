"""Contract suite of the SubjectKeys port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from answerable.core.ledger.disclosure import Sealing, opened_fields, sealed_fields
from answerable.core.ledger.subject_key import key_id_of
from answerable.errors import AnswerableError
from answerable.testing.contracts.claims import claim
from answerable.testing.entropy import SeededEntropy

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.ports.subject_keys import SubjectKeys

RACERS = 8
SUBJECTS = ("principal:alice", "principal:bob", "agent:alice", "Customer:4711", "log:own")
ODD = (
    "", " ", "principal:Alice", "principal:alice ", "principal:\x00", "Customer:\N{LATIN SMALL LETTER E WITH ACUTE}",
    "Customer:e\N{COMBINING ACUTE ACCENT}", "Customer:\ud800", "Customer:'); DROP TABLE subject_keys; --",
    "Customer:%", "Customer:_", "Customer:" + "x" * 10_000, "Customer:" + "x" * 10_001,
)  # fmt: skip
"""Names that a store might confuse with others, or interpret."""


def sealed_with(key: SubjectKey) -> bytes:
    """Return an attachment that this key opens."""
    sealing = Sealing(key=key, random=SeededEntropy("contract").bytes)
    return sealed_fields([(b"detail", b'"of one subject"')], sealing)[1]


def opens(key: SubjectKey | None, attachment: bytes) -> bool:
    """Whether this key, if any, opens the attachment."""
    try:
        return key is not None and len(opened_fields(attachment, key)) == 1
    except AnswerableError:
        return False


def same(one: SubjectKey | None, other: SubjectKey) -> bool:
    """Whether two keys are the same: by id, by what they open and by the pseudonyms they make."""
    return (
        one is not None
        and one.id == other.id
        and opens(one, sealed_with(other))
        and opens(other, sealed_with(one))
        and one.pseudonym(b"principal", b"x") == other.pseudonym(b"principal", b"x")
    )


class SubjectKeysContract:
    """Contract cases for any store of subject keys. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> SubjectKeys:
        """Open a store that stores its keys, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_subject_has_one_key_however_often_it_is_asked_for(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        first = {subject: keys.of(subject) for subject in SUBJECTS}
        for subject in (*SUBJECTS, *reversed(SUBJECTS)):
            claim(same(keys.of(subject), first[subject]), "the same key every time")

    def test_a_key_is_found_by_the_id_that_attachments_name(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        for subject in SUBJECTS:
            key = keys.of(subject)
            claim(same(keys.find(key_id_of(sealed_with(key))), key), "the key of this id")

    def test_what_is_not_known_is_not_found(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        known = keys.of("principal:alice")
        for key_id in (
            bytes(16),
            b"",
            known.id[:-1],
            known.id + b"\0",
            bytes(reversed(known.id)),
            b"x" * 4096,
        ):
            claim(keys.find(key_id) is None, "no key of an id that was never given")

    def test_two_subjects_have_two_keys_that_open_nothing_of_each_other(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        found = [keys.of(subject) for subject in SUBJECTS]
        claim(len({key.id for key in found}) == len(SUBJECTS), "ids are not shared")
        for one in found:
            for other in found:
                claim(
                    opens(one, sealed_with(other)) == (one is other or one.id == other.id), "nor are secrets"
                )

    def test_names_are_taken_as_they_are(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        ids = [keys.of(subject).id for subject in ODD]
        claim(len(set(ids)) == len(ODD), "no two names are one subject")
        claim([keys.of(subject).id for subject in ODD] == ids, "and each is found again")

    def test_an_id_says_nothing_about_the_subject(self, tmp_path: Path) -> None:
        first, second = self.opened(tmp_path / "a"), self.opened(tmp_path / "b")
        claim(first.of("principal:alice").id != second.of("principal:alice").id, "ids are random")

    def test_racing_callers_get_one_key(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        found: list[tuple[str, bytes]] = []
        barrier = threading.Barrier(RACERS)

        def race() -> None:
            barrier.wait()
            found.extend((subject, keys.of(subject).id) for subject in (f"Customer:{n}" for n in range(20)))

        racers = [threading.Thread(target=race) for _ in range(RACERS)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        claim(len(found) == RACERS * 20, "everybody got keys")
        claim(len(set(found)) == 20, "one key for each subject")


class DurableSubjectKeysContract(SubjectKeysContract):
    """Contract cases for stores that promise stable storage before first use."""

    def test_a_key_is_there_after_a_restart(self, tmp_path: Path) -> None:
        keys = self.opened(tmp_path)
        sealed = {subject: sealed_with(keys.of(subject)) for subject in (*SUBJECTS, *ODD)}
        again = self.opened(tmp_path)
        for subject, attachment in sealed.items():
            claim(opens(again.find(key_id_of(attachment)), attachment), "what was sealed is opened")
            claim(opens(again.of(subject), attachment), "and the subject has that key")

    def test_what_one_process_made_another_finds_at_once(self, tmp_path: Path) -> None:
        first, second = self.opened(tmp_path), self.opened(tmp_path)
        for number in range(10):
            one, other = (first, second) if number % 2 else (second, first)
            key = one.of(f"Customer:{number}")
            claim(same(other.find(key.id), key), "by its id")
            claim(same(other.of(f"Customer:{number}"), key), "and by its subject")
