"""Count the people who can answer approvals for a group, by the strongest signature that each can give: key file,
passkey, or hardware-bound passkey."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from answerable.core.approval.assurance_level import ANY_FOR_ALL, STRENGTHS, AssuranceLevel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.approval.assurance_level import SignedWith
    from answerable.core.registry.documents.documents import Principal, Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Who can answer for which group. people: by group, the active people who can answer, each with the strongest
    signature that they can give. signatures: the assurance level that each tier requires."""

    people: Mapping[str, Mapping[str, AssuranceLevel]] = field(default_factory=dict)
    signatures: tuple[AssuranceLevel, ...] = ANY_FOR_ALL

    def count(self, groups: Iterable[str], *, asks: AssuranceLevel = "any") -> int:
        """Return the number of distinct people in any of the groups who can sign at the level `asks` or above."""
        least = STRENGTHS.index(asks)
        return len(
            {
                name
                for group in groups
                for name, strength in self.people.get(group, {}).items()
                if STRENGTHS.index(strength) >= least
            }
        )


def answering_of(people: Iterable[Principal], workflows: Iterable[Workflow], known: SignedWith) -> Answering:
    """Build the result from active people, and from workflows that can answer: a workflow counts as its owner, who is
    then counted once.

    A person known by an OpenID provider can register a passkey without help, and so counts as having a passkey. Whether
    it is hardware-bound is not known in advance.
    """
    found: dict[str, dict[str, AssuranceLevel]] = {}
    for person in people:
        strongest: AssuranceLevel | None = known.passkeys.get(person.name)
        if strongest is None and person.oidc is not None:
            strongest = "passkey"
        if strongest is None and person.keys:
            strongest = "any"
        if strongest is None:
            continue
        for group in person.groups:
            found.setdefault(group, {})[person.name] = strongest
    for workflow in workflows:
        for group in workflow.groups:
            # Assurance levels apply to people only; `walk.workflows` decides whether workflows may answer.
            found.setdefault(group, {}).setdefault(workflow.ownership.owner, "hardware")
    return Answering(people=found, signatures=known.signatures)
