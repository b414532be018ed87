"""The facts at the moment of a decision, with time and registry digest.

Laws: unknown is not permission: a fact that could not be gathered never gets a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import PrincipalId, UnixMillis
    from answerable.core.mandate.mandate import MandateState

NOTHING_GATHERED: Final[Mapping[str, int]] = MappingProxyType({})
"""A policy that uses a missing member cannot be evaluated, which is a deny."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFact:
    """An approval in force for exactly this action digest. answered_by: the distinct people who approved, by group.
    glass: people who used emergency access instead, by group."""

    id: str
    answered_by: tuple[tuple[str, PrincipalId], ...]
    glass: tuple[tuple[str, PrincipalId], ...] = ()

    def meets(self, requirement: Requirement) -> bool:
        """Whether enough distinct people of the required group approved."""
        return (
            len({who for group, who in self.answered_by if group in requirement.groups}) >= requirement.count
        )

    def breaks(self, groups: str) -> bool:
        """Whether a person of one of these groups, joined by `|`, used emergency access; never for no groups."""
        return any(group in groups.split(OR) for group, _ in self.glass)


OR: Final = "|"
"""Separates groups of which any one suffices; no name of a group contains it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """`count` distinct people of `group` must approve. group: a name, or several joined by `|`, any of which counts;
    several requirements must all be met, which joins groups by and."""

    group: str
    count: int

    @property
    def groups(self) -> tuple[str, ...]:
        """The individual group names."""
        return tuple(self.group.split(OR))


class HoldFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A hold that covers the action. kind: of what is held. text: for everybody, including agents."""

    id: str
    kind: str
    text: str

    @property
    def rule(self) -> str:
        """Code of the rule that denies."""
        return f"held.{self.kind}"


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The gathered facts that a decision uses. mandate_calls_used: actions started under the mandate so far.

    budget: what is left, as in the members of `context.budget`. history: the value of each tracker by its name. hold:
    the first one that covers the action; None for none.
    """

    at: UnixMillis
    registry_digest: str
    mandate_state: MandateState
    mandate_calls_used: int
    approval: ApprovalFact | None
    budget: Mapping[str, int] = NOTHING_GATHERED
    history: Mapping[str, int] = NOTHING_GATHERED
    hold: HoldFact | None = None
