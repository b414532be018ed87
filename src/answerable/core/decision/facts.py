"""What is true at the moment of the decision, stamped with time and registry digest.

Laws: unknown is not leave to act: a fact that could not be gathered never takes a default.
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
"""A policy that asks for a member that is not there cannot be evaluated, which is a deny."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFact:
    """An approval in force for this very action digest. answered_by: the distinct people who approved, by group.
    glass: who broke the glass instead, by group."""

    id: str
    answered_by: tuple[tuple[str, PrincipalId], ...]
    glass: tuple[tuple[str, PrincipalId], ...] = ()

    def meets(self, requirement: Requirement) -> bool:
        """Whether enough distinct people of the required group approved."""
        return (
            len({who for group, who in self.answered_by if group in requirement.groups}) >= requirement.count
        )

    def breaks(self, groups: str) -> bool:
        """Whether somebody of one of these groups, joined by `|`, broke the glass; never for none."""
        return any(group in groups.split(OR) for group, _ in self.glass)


OR: Final = "|"
"""Between groups of which any will do; no name of a group has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """`count` distinct people of `group` must approve. group: a name, or several joined by `|`, of any of which they
    are; several requirements are met one by one, which is how groups are joined by and."""

    group: str
    count: int

    @property
    def groups(self) -> tuple[str, ...]:
        """The names one by one."""
        return tuple(self.group.split(OR))


class HoldFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A hold in whose reach the action is. kind: of what is held. text: what everybody reads, agents too."""

    id: str
    kind: str
    text: str

    @property
    def rule(self) -> str:
        """The code of the rule that says no."""
        return f"held.{self.kind}"


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """mandate_calls_used: actions started under the mandate so far.

    budget: what is left, as the members of `context.budget` say. history: the value of each tracker by its name.
    hold: the first one in reach; None for none.
    """

    at: UnixMillis
    registry_digest: str
    mandate_state: MandateState
    mandate_calls_used: int
    approval: ApprovalFact | None
    budget: Mapping[str, int] = NOTHING_GATHERED
    history: Mapping[str, int] = NOTHING_GATHERED
    hold: HoldFact | None = None
