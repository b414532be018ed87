"""Check the people's answers that a bundle discloses against what the people were shown and against what ran.

Laws:
- a disclosed answer is signed, by the key that its entry names or by the passkey whose key it contains, alone or as
  the member of a batch whose index it states; or it is recorded as a click, which `check_chat_answers` checks;
- it covers the object and the card of the entry that requested the approval, and matches its own entry: the person,
  the verdict and, where the signature covers them, the words;
- a passkey belongs to the person, as `check_passkeys` checks;
- the card is the one that the template renders from the object;
- the answer of a workflow is signed by a key, and names an owner, that registry entries before it gave the workflow;
- an answer on behalf of another person is given under a delegation of duty, as `check_deputies` checks;
- a review of a break-glass answer meets the laws of `check_reviews`;
- other signed statements meet the laws of `check_signatures`, and a key file belongs to its person, as `check_keys`
  checks;
- an intent that used the approval requested what the object says.

Undisclosed fields cannot be compared; the checks count them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from answerable.core.approval.action_object import object_in
from answerable.core.approval.batch_answer import is_of_batch, statement_in, verify_kept_batch
from answerable.core.approval.card import is_card_of
from answerable.core.approval.emergency_access import GLASS
from answerable.core.approval.passkey_answer import is_by_passkey, verify_kept
from answerable.core.approval.token import APPROVAL_TYP
from answerable.core.approval.words import Words
from answerable.core.canonical import FrozenJSON, encode, parse
from answerable.core.identity.keys.compact_jws import TokenCodes, verified_claims
from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import workflow_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Unavailable
from answerable.errors.codes.approval import (
    APPROVAL_ALGORITHM,
    APPROVAL_KEY,
    APPROVAL_MALFORMED,
    APPROVAL_OTHER,
    APPROVAL_RENDERING,
    APPROVAL_SIGNATURE,
    APPROVAL_TYPE,
)
from answerable.verify.answer_shapes import AnswerLeaf, GlassReviewedLeaf
from answerable.verify.canary_shapes import CanaryToldLeaf
from answerable.verify.check_chat_answers import ShownClicks
from answerable.verify.check_deputies import ShownDuties
from answerable.verify.check_keys import ShownKeys
from answerable.verify.check_passkeys import ShownPasskeys
from answerable.verify.check_reviews import ShownReviews
from answerable.verify.check_signatures import ShownSigned, SignedLeaf
from answerable.verify.check_workflows import ShownWorkflows
from answerable.verify.duty_shapes import DutyLeaf
from answerable.verify.key_shapes import PeoplesKeysLeaf
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import ApprovalLeaf, IntentLeaf
from answerable.verify.policy_shapes import ChangeLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from answerable.core.approval.chat_click import ClickKept
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.verify.leaf_types import Leaf

RUNS: Final = ("arguments", "method", "server", "target")
"""Members that an approval's object and the executed action have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The content of an answer, with its signature checked. action, rendering: hashes in hex. words: None if no
    signature covers them."""

    approval: str
    audience: str
    action: str
    rendering: str
    verdict: str
    words: Words | None
    issuer: str = ""


class ShownAnswers:
    """Collects the answers of a bundle and reports faults in them.

    unread: answers and intents that could not be compared, because a field of theirs is not disclosed. unchecked:
    signatures that cannot be checked without an extra (`extra.missing`). signed: answers whose signature is valid.
    keys_shown: signatures that disclosed entries attribute to the signer's key file. keys_unread: signatures whose key
    cannot be attributed.
    """

    def __init__(self) -> None:
        self.unread = 0
        self.unchecked = 0
        self.signed = 0
        self._clicks = ShownClicks()
        self._asked: dict[str, tuple[FrozenJSON, FrozenJSON]] = {}
        self._said: list[tuple[int, AnswerLeaf, _Said]] = []
        self._ran: list[tuple[int, str, dict[str, JSONValue]]] = []
        self._found: list[tuple[int, Fault]] = []
        self._workflows = ShownWorkflows()
        self._keys = ShownKeys()
        self._passkeys = ShownPasskeys()
        self._duties = ShownDuties(self._keys, self._passkeys)
        self._reviews = ShownReviews(self._keys, self._passkeys)
        self._signed = ShownSigned(self._keys)

    @property
    def attributed(self) -> list[tuple[int, str]]:
        """Answers that nobody signed: the entry, and a text that names the party whose claim it is."""
        return self._clicks.told

    def take(self, index: int, leaf: Leaf, disclosures: Sequence[Disclosure]) -> None:
        """Take the next entry, with its disclosed fields."""
        fields = {one.name: bytes(one.value) for one in disclosures}
        self._passkeys.take(index, leaf)
        try:
            if isinstance(leaf, ApprovalLeaf):
                self._take_asked(leaf, fields)
            elif isinstance(leaf, DutyLeaf):
                self._duties.take(index, leaf, fields)
            elif isinstance(leaf, AnswerLeaf):
                self._duties.answered(index, leaf)
                self._take_answer(index, leaf, fields)
            elif isinstance(leaf, CanaryToldLeaf):
                if leaf.verdict is not UNSET:
                    self._take_answer(index, leaf.as_answer(), fields)
            elif isinstance(leaf, GlassReviewedLeaf):
                self._reviews.take_review(index, leaf, fields)
            elif isinstance(leaf, ChangeLeaf) and leaf.tag == Tag.REGISTRY_CHANGE:
                self._take_keys(index, leaf, fields)
                self._workflows.take_change(fields, leaf.workflows or (), leaf.after)
            elif isinstance(leaf, PeoplesKeysLeaf):
                self._take_keys(index, leaf, fields)
            elif isinstance(leaf, SignedLeaf):
                self._signed.take(index, leaf, fields)
            elif isinstance(leaf, IntentLeaf) and leaf.approval is not UNSET and leaf.approval:
                self._take_intent(index, leaf.approval, fields)
        except Unavailable:
            self.unchecked += 1
        except (AnswerableError, msgspec.DecodeError) as fault:
            self._found.append((index, Fault("approval.signed", f"what was signed does not check: {fault}")))

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""
        yield from self._found
        yield from self._duties.faults()
        yield from self._signed.faults()
        yield from self._keys.faults()
        self.unread += self._duties.unread
        yield from self._passkeys.faults()
        self.unread += self._passkeys.unread
        yield from self._clicks.faults(self._asked)
        self.unread += self._clicks.unread
        yield from self._reviews.faults(self._asked)
        self.unread += self._reviews.unread
        for index, leaf, said in self._said:
            if said.approval != leaf.approval or said.verdict != leaf.verdict:
                yield index, Fault("approval.answer", "the signed answer differs from its entry")
            shown = self._asked.get(leaf.approval)
            if shown is None:
                self.unread += 1
            elif (said.action, said.rendering) != (shown[0].hex, shown[1].hex):
                yield (
                    index,
                    Fault(
                        "approval.signed", ("the answer was signed for another object or card than was shown")
                    ),
                )
            elif said.audience != _envelope(shown[0]).get("iss"):
                yield index, Fault("approval.signed", "the answer is for another deployment")
        for index, approval, action in self._ran:
            shown = self._asked.get(approval)
            if shown is None:
                self.unread += 1
            elif any(object_in(shown[0]).get(name) != action.get(name) for name in RUNS):
                yield index, Fault("approval.ran", "what ran is not what was shown")

    @property
    def keys_shown(self) -> int:
        """Signatures attributed to their person's key file. Valid after `faults`."""
        return self._keys.shown

    @property
    def keys_unread(self) -> int:
        """Signatures whose key cannot be attributed. Valid after `faults`."""
        return self._keys.unread + self._signed.unread

    def _take_keys(self, index: int, leaf: ChangeLeaf | PeoplesKeysLeaf, fields: Mapping[str, bytes]) -> None:
        self._keys.take(
            index,
            leaf.at,
            leaf.people or (),
            fields,
            registry=leaf.after if isinstance(leaf, ChangeLeaf) else leaf.registry,
            change=_change_of(index, leaf),
            more=(leaf.people_more or 0) if isinstance(leaf, ChangeLeaf) else 0,
        )

    def _take_asked(self, leaf: ApprovalLeaf, fields: Mapping[str, bytes]) -> None:
        if "object" not in fields or "card" not in fields:
            return
        shown, card = (FrozenJSON.from_canonical(fields[name]) for name in ("object", "card"))
        if object_in(shown).get("txn") != leaf.approval:
            raise APPROVAL_OTHER("the object belongs to another approval")
        if not is_card_of(card, shown):
            raise APPROVAL_RENDERING("the card does not belong to this object")
        self._asked[leaf.approval] = (shown, card)

    def _take_answer(self, index: int, leaf: AnswerLeaf, fields: Mapping[str, bytes]) -> None:
        token = msgspec.json.decode(fields["token"], type=str) if "token" in fields else ""
        if leaf.verdict == GLASS:
            self._reviews.take_broken(leaf, token)
        click = self._clicks.take(index, leaf, token)
        if not token:
            return
        if click is not None:
            said = _clicked(click)
            self._check_person(index, leaf, said.issuer, "", fields)
        elif is_of_batch(token):
            signer = msgspec.json.decode(fields["signer"], type=str) if "signer" in fields else ""
            if not signer and statement_in(token):
                self.unread += 1
                return
            part = verify_kept_batch(token, public_key(signer) if signer else None)
            said = _Said(
                approval=part.approval,
                audience=part.audience,
                action=part.action,
                rendering=part.rendering,
                verdict=part.verdict,
                words=part.words,
                issuer=part.by,
            )
            self._check_person(index, leaf, said.issuer, "" if part.by_key else signer, fields)
            if part.by_key:
                self._passkeys.answered(index, leaf.person, part.by_key)
        elif is_by_passkey(token):
            kept = verify_kept(token)
            said = _Said(
                approval=kept.approval,
                audience=kept.audience,
                action=kept.action,
                rendering=kept.rendering,
                verdict=kept.verdict,
                words=kept.words if kept.words_signed else None,
                issuer=kept.by,
            )
            self._check_person(index, leaf, said.issuer, "", fields)
            self._passkeys.answered(index, leaf.person, kept.key)
        elif "signer" in fields:
            signer = msgspec.json.decode(fields["signer"], type=str)
            said = _signed_by_key(token, signer)
            self._check_person(index, leaf, said.issuer, signer, fields)
        else:
            self.unread += 1
            return
        self.signed += click is None
        if said.words is not None and _other_words(said.words, fields):
            self._found.append(
                (index, Fault("approval.words", ("the entry has other words than the signed answer")))
            )
        self._said.append((index, leaf, said))

    def _check_person(
        self, index: int, leaf: AnswerLeaf, issuer: str, signer: str, fields: Mapping[str, bytes]
    ) -> None:
        name = "" if leaf.workflow is UNSET else leaf.workflow
        if (workflow_of(issuer) or "") != name:
            self._found.append(
                (index, Fault("approval.workflow", "the signer is not the person that its entry names"))
            )
        elif name and (not self._workflows.is_told(name) or "person_name" not in fields):
            self.unread += 1
        elif name:
            person = msgspec.json.decode(fields["person_name"], type=str)
            fault = self._workflows.fault(name, signer, person)
            if (
                fault is not None
                and leaf.registry is not UNSET
                and not self._workflows.is_since(name, leaf.registry)
            ):
                self.unread += 1
            elif fault is not None:
                self._found.append((index, fault))
        else:
            self._check_named(index, leaf, issuer, signer, fields)

    def _check_named(
        self, index: int, leaf: AnswerLeaf, issuer: str, signer: str, fields: Mapping[str, bytes]
    ) -> None:
        """Check a person's answer: it is signed in the name that its entry states and, if by a key file, by one of
        theirs."""
        if fields.get("person_name", encode(issuer)) != encode(issuer):
            fault = Fault("approval.person", "the signer is not the person that its entry names")
            self._found.append((index, fault))
        elif signer:
            key = public_key(signer).thumbprint
            self._keys.signed(
                index, leaf.at, person=leaf.person, name=issuer, key=key, reference=leaf.keys_ref
            )

    def _take_intent(self, index: int, approval: str, fields: Mapping[str, bytes]) -> None:
        if "request" not in fields:
            self.unread += 1
            return
        action = parse(fields["request"])
        if not isinstance(action, dict):
            raise APPROVAL_MALFORMED("the request is not a JSON object")
        self._ran.append((index, approval, action))


def _change_of(index: int, leaf: ChangeLeaf | PeoplesKeysLeaf) -> int | None:
    """Return the entry of the change that this entry is part of; None if it is part of none."""
    if isinstance(leaf, ChangeLeaf):
        return index
    return None if leaf.change_ref is UNSET else leaf.change_ref.entry


def _clicked(kept: ClickKept) -> _Said:
    """Return the content of a click, which nobody signed."""
    return _Said(
        approval=kept.approval,
        audience=kept.aud,
        action=kept.action,
        rendering=kept.rendering,
        verdict=kept.verdict,
        words=Words(reason=kept.reason),
        issuer=kept.iss,
    )


def _signed_by_key(token: str, jwk: str) -> _Said:
    """Verify an answer by key file and return its content. Raises Malformed (`approval.malformed`, `key.*`), Unverified
    (`approval.*`)."""
    key = public_key(jwk)
    claims = verified_claims(
        token,
        typ=APPROVAL_TYP,
        codes=TokenCodes(
            malformed=APPROVAL_MALFORMED,
            type=APPROVAL_TYPE,
            algorithm=APPROVAL_ALGORITHM,
            key=APPROVAL_KEY,
            signature=APPROVAL_SIGNATURE,
        ),
        issuer_of=lambda said: str(said.get("iss")),
        keys_of=lambda _: (key,),
    )
    told = {name: str(claims.get(name)) for name in ("approval", "action", "rendering", "verdict")}
    # Answers from before reasons existed have none; their signature still covers the comment.
    words = Words(**{name: str(claims.get(name, "")) for name in ("reason", "comment", "narrower")})
    return _Said(audience=str(claims.get("aud")), issuer=str(claims.get("iss")), words=words, **told)


def _other_words(signed: Words, fields: Mapping[str, bytes]) -> bool:
    """Whether a disclosed field differs from what was signed."""
    said = {"comment": encode(signed.comment), "denial": encode(signed.reason)}
    if any(name in fields and fields[name] != wanted for name, wanted in said.items()):
        return True
    return "narrower" in fields and fields["narrower"] != signed.narrower.encode()


def _envelope(shown: FrozenJSON) -> dict[str, JSONValue]:
    value = shown.thaw()
    return value if isinstance(value, dict) else {}
