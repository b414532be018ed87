"""Delegability of a mandate: how deep, how widely and to whom an agent may hand on its authority.

Laws: a mandate that does not mention delegation cannot be handed on; an agent may receive only if `to` lists its name,
its use case or a group of its owner.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import checked_name
from answerable.core.registry.documents.documents import (
    DELEGATION_DEPTH_MAX,
    DELEGATION_RECEIVERS_MAX,
    DELEGATION_WIDTH_MAX,
)
from answerable.errors import shown
from answerable.errors.codes.mandate import MANDATE_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue

RECEIVER_KINDS: Final = ("agent", "use_case", "group")

_MEMBERS: Final = frozenset({"depth_max", "width_max", "to"})
_RECEIVER: Final = re.compile(r"(agent|use_case|group):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegability:
    """Limits of delegation. depth_max: hops below the mandate's agent. width_max: most agents that each agent may hand
    on to.

    to: permitted receivers, each as `agent:NAME`, `use_case:NAME` or `group:NAME`; a group permits agents whose owner
    is a member.
    """

    depth_max: int = 0
    width_max: int = 0
    to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.depth_max <= DELEGATION_DEPTH_MAX or not 0 <= self.width_max <= DELEGATION_WIDTH_MAX:
            raise MANDATE_MALFORMED(
                f"a mandate may be delegated at most {DELEGATION_DEPTH_MAX} deep, and by each agent to at most "
                f"{DELEGATION_WIDTH_MAX} agents"
            )
        if len({bool(self.depth_max), bool(self.width_max), bool(self.to)}) > 1:
            raise MANDATE_MALFORMED(
                "a mandate that may be delegated needs all of `depth_max`, `width_max` and `to`"
            )
        if len(self.to) > DELEGATION_RECEIVERS_MAX or len(set(self.to)) < len(self.to):
            raise MANDATE_MALFORMED(f"expected at most {DELEGATION_RECEIVERS_MAX} receivers, each once")
        for one in self.to:
            found = _RECEIVER.fullmatch(one)
            if found is None:
                raise MANDATE_MALFORMED(
                    f"{shown(one)} is not a receiver: use `agent:…`, `use_case:…` or `group:…`"
                )
            checked_name(found[2], what=found[1].replace("_", " "))

    def receives(self, *, agent: str, use_case: str, owner_groups: Iterable[str]) -> bool:
        """Whether an agent is a permitted receiver. The caller that counts hops checks depth and width."""
        asked = {f"agent:{agent}", f"use_case:{use_case}", *(f"group:{group}" for group in owner_groups)}
        return not asked.isdisjoint(self.to)


NOT_DELEGABLE: Final = Delegability()


def delegation_claim(delegability: Delegability) -> dict[str, JSONValue]:
    """Write the claim `delegation`, which is omitted for a mandate that may not be handed on."""
    return {
        "depth_max": delegability.depth_max,
        "width_max": delegability.width_max,
        "to": list(delegability.to),
    }


def delegability_in(claim: JSONValue) -> Delegability:
    """Read the claim `delegation`; the inverse of `delegation_claim`. Raises Malformed (`mandate.malformed`,
    `name.invalid`)."""
    if not isinstance(claim, dict) or claim.keys() != _MEMBERS:
        raise MANDATE_MALFORMED("claim `delegation` has `depth_max`, `width_max` and `to`, and nothing else")
    depth, width, to = claim["depth_max"], claim["width_max"], claim["to"]
    if type(depth) is not int or type(width) is not int or depth < 1:
        raise MANDATE_MALFORMED("claim `delegation` has positive integers in `depth_max` and `width_max`")
    if not isinstance(to, list) or not all(isinstance(one, str) for one in to):
        raise MANDATE_MALFORMED("claim `delegation` has a list of texts in `to`")
    return Delegability(depth_max=depth, width_max=width, to=tuple(str(one) for one in to))
