"""Who can answer for a group, and how strongly they can sign: with a key file, with a passkey, with one that no
software copies."""

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
    """people: by group the active ones that can answer, each with the strongest signature that they can give."""

    people: Mapping[str, Mapping[str, AssuranceLevel]] = field(default_factory=dict)
    signatures: tuple[AssuranceLevel, ...] = ANY_FOR_ALL

    def count(self, groups: Iterable[str], *, asks: AssuranceLevel = "any") -> int:
        """How many people are in any of the groups, each once, and can sign so strongly or more so."""
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
    """From active people, and workflows that can answer: each is its owner's, with whom it counts once.

    Whoever an OpenID provider knows can bring in a passkey by themselves, and counts as if they had: at what strength a
    device of theirs signs is not known before.
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
            # How strong signatures must be is asked of people alone: whether workflows answer, `walk.workflows` says.
            found.setdefault(group, {}).setdefault(workflow.ownership.owner, "hardware")
    return Answering(people=found, signatures=known.signatures)
