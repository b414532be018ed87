"""Check the other statements that people signed with key files: mandates, lifts, manifests, tool pins, policy sets,
and what they said of incidents.

Laws: the statement is signed by the key in its entry, matches its entry, and is issued in the name disclosed beside it;
the key belongs to that person, as `check_keys` checks. Statements without a disclosed key, such as those from before
keys were recorded, are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from answerable.core.canonical import encode, parse
from answerable.core.containment.lift import LIFT_TYP
from answerable.core.identity.keys.compact_jws import TokenCodes, read_compact, verified_claims
from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import schedule_of
from answerable.core.incident.incident_statement import INCIDENT_TYP
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.token import MANDATE_TYP
from answerable.core.registry.manifests.manifest import manifest_digest, manifest_of
from answerable.core.registry.manifests.manifest_token import MANIFEST_TYP
from answerable.core.registry.policy_sets.publication import PUBLICATION_TYP
from answerable.core.registry.tools.tool_approval import TOOL_TYP
from answerable.errors.codes.ledger import (
    SIGNED_ALGORITHM,
    SIGNED_KEY,
    SIGNED_MALFORMED,
    SIGNED_SIGNATURE,
    SIGNED_TYPE,
)
from answerable.verify.incident_shapes import IncidentLeaf
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import MandateLeaf, ManifestLeaf
from answerable.verify.policy_shapes import ChangeLeaf, ProposedLeaf
from answerable.verify.stop_shapes import HoldLiftedLeaf
from answerable.verify.tool_shapes import ToolPinnedLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.verify.check_keys import ShownKeys

SignedLeaf = (
    MandateLeaf | HoldLiftedLeaf | IncidentLeaf | ManifestLeaf | ToolPinnedLeaf | ProposedLeaf | ChangeLeaf
)
"""Leaves that this module checks; of change leaves, only those of policy sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How a kind of statement is signed. field: the field that contains the token. name: the field with the signer's
    name. says: member of the leaf to the claim that it repeats."""

    typ: str
    field: str = "token"
    name: str = "by_name"
    says: Mapping[str, str]


_OF_INCIDENTS: Final = {
    "incident": "incident",
    "statement": "id",
    "change": "change",
    "about": "kind",
    "about_name": "name",
    "told": "told",
}
_FORMS: Final[Mapping[int, _Form]] = {
    Tag.MANDATE_ISSUED: _Form(
        typ=MANDATE_TYP,
        name="principal_name",
        says={
            "mandate": "jti",
            "agent": "sub",
            "use_case": "use_case",
            "application": "application",
        },
    ),
    Tag.HOLD_LIFTED: _Form(typ=LIFT_TYP, says={"hold": "hold"}),
    Tag.INCIDENT: _Form(typ=INCIDENT_TYP, says=_OF_INCIDENTS),
    Tag.MANIFEST_REGISTERED: _Form(typ=MANIFEST_TYP, says={"agent": "sub"}),
    Tag.TOOL_PINNED: _Form(
        typ=TOOL_TYP, says={one: one for one in ("server", "tool", "definition", "previous")}
    ),
    Tag.POLICY_PROPOSED: _Form(
        typ=PUBLICATION_TYP,
        field="step",
        name="author_name",
        says={"before": "before", "after": "after"},
    ),
    Tag.POLICY_CHANGE: _Form(
        typ=PUBLICATION_TYP, field="step", says={"documents": "after", "proposal": "proposal"}
    ),
}


class ShownSigned:
    """Collects signed statements. unread: statements that could not be checked, because their key is not disclosed."""

    def __init__(self, keys: ShownKeys) -> None:
        """keys: the check that attributes key files."""
        self.unread = 0
        self._keys = keys
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: SignedLeaf, fields: Mapping[str, bytes]) -> None:
        """Take the next entry. Raises Malformed, Unverified (`key.*`, `signed.*`), DecodeError."""
        form = _FORMS.get(leaf.tag)
        if form is None or form.field not in fields:
            return
        if "signer" not in fields:
            self.unread += _is_persons(leaf, fields[form.field])
            return
        key = public_key(msgspec.json.decode(fields["signer"], type=str))
        claims = verified_claims(
            msgspec.json.decode(fields[form.field], type=str),
            typ=form.typ,
            codes=TokenCodes(
                malformed=SIGNED_MALFORMED,
                type=SIGNED_TYPE,
                algorithm=SIGNED_ALGORITHM,
                key=SIGNED_KEY,
                signature=SIGNED_SIGNATURE,
            ),
            issuer_of=lambda said: str(said.get("iss")),
            keys_of=lambda _: (key,),
        )
        name = str(claims.get("iss"))
        if fields.get(form.name, encode(name)) != encode(name):
            self._wrong(index, "signed.person", "the signer is not the person that its entry names")
        if _other(leaf, form, claims) or (isinstance(leaf, HoldLiftedLeaf) and leaf.key != key.thumbprint):
            self._wrong(index, "signed.other", "the signed statement differs from its entry")
        self._keys.signed(
            index, leaf.at, person=_signer(leaf), name=name, key=key.thumbprint, reference=leaf.keys_ref
        )

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry."""
        yield from self._found

    def _wrong(self, index: int, rule: str, message: str) -> None:
        self._found.append((index, Fault(rule, message)))


def _is_persons(leaf: SignedLeaf, token: bytes) -> bool:
    """Whether a person signed it; an application or a schedule can also issue a mandate. Raises Malformed, Unverified,
    DecodeError."""
    if not isinstance(leaf, MandateLeaf):
        return True
    claims = parse(read_compact(msgspec.json.decode(token, type=str), malformed=SIGNED_MALFORMED).payload)
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return leaf.application is UNSET and schedule_of(str(issuer)) is None


def _signer(leaf: SignedLeaf) -> str:
    """Return the pseudonym of the signer; empty if the entry has none."""
    if isinstance(leaf, MandateLeaf):
        return leaf.principal
    by = leaf.author if isinstance(leaf, ProposedLeaf) else leaf.by
    return "" if by is UNSET else by


def _other(leaf: SignedLeaf, form: _Form, claims: Mapping[str, JSONValue]) -> bool:
    """Whether the entry repeats a claim with another value."""
    for member, claim in form.says.items():
        said = getattr(leaf, member)
        if ("" if said is UNSET else said) != claims.get(claim, ""):
            return True
    return (
        isinstance(leaf, ManifestLeaf) and manifest_digest(manifest_of(claims["manifest"])) != leaf.manifest
    )
