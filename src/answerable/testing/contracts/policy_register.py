"""Contract suite of the PolicyRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.registry.policy_sets.policy_record import KeptSets, PolicyRecord, Proposal
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.policy_register import PolicyRegister


def sample_proposal(name: str = "one", *, at: int = 1) -> PolicyRecord:
    """Return a pending proposal."""
    proposal = Proposal(
        id=name,
        by="alice",
        key="k",
        at=at,
        before="a" * 64,
        after="b" * 64,
        comment="",
        token="",
        attached="{}",
        documents={},
    )
    return PolicyRecord(kind="proposal", id=name, at=at, body=msgspec.json.encode(proposal))


def sample_kept(name: str = "one") -> PolicyRecord:
    """Return a record of sets that were in force."""
    body = msgspec.json.encode(KeptSets(digest=name, policy_set="c" * 64, documents={}))
    return PolicyRecord(kind="kept", id=name, at=3, body=body)


_FIRST, _SECOND, _KEPT = sample_proposal(), sample_proposal("two", at=2), sample_kept()


class PolicyRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> PolicyRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_put_is_found_as_it_was_and_by_its_kind(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.find("proposal", "one") is None, "nothing is there at first")
        register.put(_FIRST)
        register.put(_KEPT)
        claim(register.find("proposal", "one") == _FIRST, "a record is found whole")
        claim(register.find("kept", "one") == _KEPT, "one of another kind is another one")
        claim(register.all("kept") == (_KEPT,), "and is listed apart")

    def test_they_are_listed_with_the_last_one_put_first(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put(_FIRST)
        register.put(_SECOND)
        claim(register.all("proposal") == (_SECOND, _FIRST), "newest first")
        later = sample_proposal(at=9)
        register.put(later)
        claim(
            register.all("proposal") == (later, _SECOND),
            "one that is put again takes its own place, as newest",
        )

    def test_what_was_removed_is_gone(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put(_FIRST)
        register.put(_KEPT)
        register.remove("proposal", "one")
        register.remove("proposal", "none")
        claim(register.find("proposal", "one") is None, "it is gone")
        claim(register.find("kept", "one") == _KEPT, "and nothing else is")


class DurablePolicyRegisterContract(PolicyRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_records_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put(_FIRST)
        register.put(_SECOND)
        register.remove("proposal", "one")
        claim(self.opened(tmp_path).all("proposal") == (_SECOND,), "as they were left")
