"""Check the reviews of break-glass answers that a bundle discloses against the answers that they review.

Laws: a review is signed over the action that was shown and over the exact break-glass answer, with the verdict, words
and person that its entry states, and by another person than gave the answer; it is as strong as its entry says that the
tier of the action requires; a passkey belongs to that person, as `check_passkeys` checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from answerable.core.approval.passkey_answer import is_by_passkey
from answerable.core.approval.passkey_review import verify_kept_review
from answerable.core.approval.review import REVIEW_TYP
from answerable.core.canonical import encode
from answerable.core.identity.keys.compact_jws import TokenCodes, verified_claims
from answerable.core.identity.keys.keys import public_key
from answerable.errors.codes.approval import (
    REVIEW_ALGORITHM,
    REVIEW_KEY,
    REVIEW_MALFORMED,
    REVIEW_SIGNATURE,
    REVIEW_TYPE,
)
from answerable.verify.leaf_rules import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import FrozenJSON
    from answerable.verify.answer_shapes import AnswerLeaf, GlassReviewedLeaf
    from answerable.verify.check_keys import ShownKeys
    from answerable.verify.check_passkeys import ShownPasskeys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    approval: str
    action: str
    answer: str
    verdict: str
    by: str
    comment: str


class ShownReviews:
    """Collects reviews. unread: reviews that could not be compared, because a field of theirs is not disclosed."""

    def __init__(self, keys: ShownKeys, passkeys: ShownPasskeys) -> None:
        """keys, passkeys: the checks that attribute the keys with which reviews are signed."""
        self.unread = 0
        self._keys, self._passkeys = keys, passkeys
        self._broken: dict[str, tuple[str, str]] = {}
        self._said: list[tuple[int, GlassReviewedLeaf, _Said | None]] = []
        self._found: list[tuple[int, Fault]] = []

    def take_broken(self, leaf: AnswerLeaf, token: str) -> None:
        """Take a break-glass answer. token: empty if it is not disclosed."""
        self._broken[leaf.approval] = (leaf.person, sha256(token.encode()).hexdigest() if token else "")

    def take_review(self, index: int, leaf: GlassReviewedLeaf, fields: Mapping[str, bytes]) -> None:
        """Take the next review. Raises Malformed, Unverified (`review.*`, `passkey.*`, `key.*`)."""
        said = None
        if "token" in fields:
            token = msgspec.json.decode(fields["token"], type=str)
            if is_by_passkey(token):
                kept = verify_kept_review(token)
                self._passkeys.answered(index, leaf.person, kept.key)
                self._check_strength(index, leaf, kept.key)
                said = _Said(
                    approval=kept.approval,
                    action=kept.action,
                    answer=kept.answer,
                    verdict=kept.verdict,
                    by=kept.by,
                    comment=kept.comment,
                )
            elif "signer" in fields:
                jwk = msgspec.json.decode(fields["signer"], type=str)
                said = _signed_by_key(token, jwk)
                key = public_key(jwk).thumbprint
                self._check_strength(index, leaf, "")
                self._keys.signed(
                    index, leaf.at, person=leaf.person, name=said.by, key=key, reference=leaf.keys_ref
                )
        if said is not None:
            self._check_words(index, said, fields)
        self._said.append((index, leaf, said))

    def _check_strength(self, index: int, leaf: GlassReviewedLeaf, passkey: str) -> None:
        """Check that a review is as strong as its tier requires. passkey: thumbprint; empty for a key file."""
        if leaf.asks is UNSET:
            return
        strong: bool | None = bool(passkey)
        if passkey and leaf.asks == "hardware":
            strong = self._passkeys.is_hardware(passkey)
        if strong is None:
            self.unread += 1
        elif not strong:
            self._found.append(
                (index, Fault("review.strength", f"the tier of the action asked for: {leaf.asks}"))
            )

    def _check_words(self, index: int, said: _Said, fields: Mapping[str, bytes]) -> None:
        """Check that the disclosed fields beside the signature match what was signed."""
        if fields.get("person_name", encode(said.by)) != encode(said.by):
            fault = Fault("review.person", "the review's signer is not the person that its entry names")
            self._found.append((index, fault))
        if fields.get("comment", encode(said.comment)) != encode(said.comment):
            fault = Fault("review.signed", "the entry has other words than the signed review")
            self._found.append((index, fault))

    def faults(self, shown: Mapping[str, tuple[FrozenJSON, FrozenJSON]]) -> Iterator[tuple[int, Fault]]:
        """Yield every fault. shown: object and card, by approval id. Call once, after the last entry."""
        yield from self._found
        for index, leaf, said in self._said:
            broken = self._broken.get(leaf.approval)
            if broken is None:
                self.unread += 1
                continue
            person, digest = broken
            if person == leaf.person:
                yield index, Fault("review.own", "the review is by the person who used break-glass")
            asked = shown.get(leaf.approval)
            if said is None or not digest or asked is None:
                self.unread += 1
            elif (said.approval, said.verdict) != (leaf.approval, leaf.verdict):
                yield index, Fault("review.signed", "the signed review differs from its entry")
            elif (said.action, said.answer) != (asked[0].hex, digest):
                yield index, Fault("review.signed", ("the review is about another action or another answer"))


def _signed_by_key(token: str, jwk: str) -> _Said:
    key = public_key(jwk)
    claims = verified_claims(
        token,
        typ=REVIEW_TYP,
        codes=TokenCodes(
            malformed=REVIEW_MALFORMED,
            type=REVIEW_TYPE,
            algorithm=REVIEW_ALGORITHM,
            key=REVIEW_KEY,
            signature=REVIEW_SIGNATURE,
        ),
        issuer_of=lambda said: str(said.get("iss")),
        keys_of=lambda _: (key,),
    )
    told = {name: str(claims.get(name)) for name in ("approval", "action", "answer", "verdict")}
    return _Said(by=str(claims.get("iss")), comment=str(claims.get("comment", "")), **told)
