"""Check the delegations of duty that a bundle discloses, and the answers that were given under them.

Laws:
- a disclosed delegation is signed, by the key that its entry names or by the passkey whose key it contains, and
  matches its own entry;
- an answer on behalf of another person was given while the delegation was in force, and before it was ended, by the
  deputy whom it names. An answer in flight when the delegation ended may be recorded right after the end; nobody can
  tell the two apart.

Undisclosed fields cannot be compared; the checks count them. `check_keys` checks whose key file it is, the passkey
entries whose passkey, the registry entries that a person was a member of the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from answerable.core.approval.deputy_statement import signed_terms
from answerable.core.approval.duty_by_passkey import verify_kept_duty
from answerable.core.approval.passkey_answer import is_by_passkey
from answerable.core.identity.keys.keys import public_key
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.check_keys import ON_ITS_WAY_MS_MAX
from answerable.verify.leaf_rules import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.approval.deputy_statement import DutyTerms
    from answerable.verify.check_keys import ShownKeys
    from answerable.verify.check_passkeys import ShownPasskeys
    from answerable.verify.duty_shapes import DutyLeaf


class ShownDuties:
    """Collects delegations of duty. unread: delegations, and answers under them, that could not be compared because a
    field is not disclosed."""

    def __init__(self, keys: ShownKeys, passkeys: ShownPasskeys) -> None:
        """keys, passkeys: the checks that attribute the keys with which delegations are signed."""
        self.unread = 0
        self._keys, self._passkeys = keys, passkeys
        self._given: dict[str, DutyLeaf] = {}
        self._ended: dict[str, tuple[int, int]] = {}
        self._answered: list[tuple[int, AnswerLeaf]] = []
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: DutyLeaf, fields: Mapping[str, bytes]) -> None:
        """Take the next entry about duty. Raises Malformed, Unverified (`duty.*`, `passkey.*`, `key.*`),
        DecodeError."""
        if leaf.change == "ended":
            self._ended.setdefault(leaf.delegation, (index, leaf.at))
            return
        self._given.setdefault(leaf.delegation, leaf)
        terms = self._signed(index, leaf, fields)
        if terms is None:
            self.unread += 1
            return
        said = (terms.id, terms.group, terms.until)
        begins = leaf.since is not UNSET and leaf.since >= terms.since
        if said != (leaf.delegation, leaf.group, leaf.until) or not begins or _other_names(terms, fields):
            self._found.append(
                (index, Fault("duty.signed", "the signed delegation of duty differs from its entry"))
            )

    def _signed(self, index: int, leaf: DutyLeaf, fields: Mapping[str, bytes]) -> DutyTerms | None:
        """Return the terms, with their signature checked; None if they are not disclosed."""
        if "token" not in fields:
            return None
        token = msgspec.json.decode(fields["token"], type=str)
        if is_by_passkey(token):
            terms, passkey = verify_kept_duty(token)
            self._passkeys.answered(index, leaf.of, passkey)
            return terms
        if "signer" not in fields:
            return None
        key = public_key(msgspec.json.decode(fields["signer"], type=str))
        terms, _ = signed_terms(token, keys_of=lambda _: (key,))
        reference = leaf.keys_ref
        self._keys.signed(
            index, leaf.at, person=leaf.of, name=terms.of, key=key.thumbprint, reference=reference
        )
        return terms

    def answered(self, index: int, leaf: AnswerLeaf) -> None:
        """Take the next answer."""
        if leaf.duty is not UNSET:
            self._answered.append((index, leaf))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""
        yield from self._found
        for index, leaf in self._answered:
            if leaf.duty is UNSET:
                continue
            given = self._given.get(leaf.duty.delegation)
            if given is None or given.since is UNSET or given.until is UNSET:
                self.unread += 1
                continue
            if (given.group, given.of, given.to) != (leaf.duty.group, leaf.duty.of, leaf.person):
                yield (
                    index,
                    Fault(
                        "duty.answer",
                        ("the answer was given for or by another person than the signed delegation names"),
                    ),
                )
            if not given.since <= leaf.at < given.until:
                yield (
                    index,
                    Fault(
                        "duty.over",
                        ("the answer was given for another person outside the time of the delegation"),
                    ),
                )
            ended, ended_at = self._ended.get(leaf.duty.delegation, (index, leaf.at))
            if ended < index and leaf.at - ended_at <= ON_ITS_WAY_MS_MAX:
                self.unread += 1
            elif ended < index:
                yield (
                    index,
                    Fault(
                        "duty.ended",
                        ("the answer was given for another person after the delegation was ended"),
                    ),
                )


def _other_names(terms: DutyTerms, fields: Mapping[str, bytes]) -> bool:
    """Whether a disclosed name differs from the signed name."""
    names = (("of_name", terms.of), ("to_name", terms.to))
    return any(
        name in fields and msgspec.json.decode(fields[name], type=str) != wanted for name, wanted in names
    )
