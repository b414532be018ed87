"""Delegations of duty that a bundle shows, and the answers that were given by them.

Laws:
- one that is shown is signed, by the key that its entry names or by the passkey whose key is in it, and says what its
  own entry says;
- an answer that was given for another one was given while that lasted, and before it was ended, by the deputy it names.
  One that was on its way while it was ended may stand right after that; nobody can tell.

What is not shown cannot be compared, and is counted. Whose key file it is, `check_keys` says; whose passkey, the
entries of passkeys; that somebody was a member of the group, those of the registry.
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
    """unread: delegations, and answers by them, that could not be compared, because something is not shown."""

    def __init__(self, keys: ShownKeys, passkeys: ShownPasskeys) -> None:
        """keys, passkeys: whose they are with which delegations are signed."""
        self.unread = 0
        self._keys, self._passkeys = keys, passkeys
        self._given: dict[str, DutyLeaf] = {}
        self._ended: dict[str, tuple[int, int]] = {}
        self._answered: list[tuple[int, AnswerLeaf]] = []
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: DutyLeaf, fields: Mapping[str, bytes]) -> None:
        """The next entry about duty. Raises Malformed, Unverified (`duty.*`, `passkey.*`, `key.*`), DecodeError."""
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
                (index, Fault("duty.signed", "what was signed says something else than its entry"))
            )

    def _signed(self, index: int, leaf: DutyLeaf, fields: Mapping[str, bytes]) -> DutyTerms | None:
        """The terms, with their signature checked; None where they are not shown."""
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
        """The next answer."""
        if leaf.duty is not UNSET:
            self._answered.append((index, leaf))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Everything that is wrong, with the entry it is wrong in. Asked once, after all entries."""
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
                    Fault("duty.answer", "it was given for another one, or by another, than was signed"),
                )
            if not given.since <= leaf.at < given.until:
                yield index, Fault("duty.over", "it was given for another one, and that did not last then")
            ended, ended_at = self._ended.get(leaf.duty.delegation, (index, leaf.at))
            if ended < index and leaf.at - ended_at <= ON_ITS_WAY_MS_MAX:
                self.unread += 1
            elif ended < index:
                yield index, Fault("duty.ended", "it was given for another one after that had been ended")


def _other_names(terms: DutyTerms, fields: Mapping[str, bytes]) -> bool:
    """Whether a name that is shown is not the one that was signed."""
    names = (("of_name", terms.of), ("to_name", terms.to))
    return any(
        name in fields and msgspec.json.decode(fields[name], type=str) != wanted for name, wanted in names
    )
