"""Attenuation: compare two authorities, and compute the widest authority that both permit.

Laws: `narrower` is an order, and total; what a narrower authority permits, the wider one permits; an unknown constraint
is narrower than nothing but itself; `meet` is narrower than either side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.mandate.authority import Authority
from answerable.core.mandate.constraint import joined
from answerable.core.mandate.scope import covers
from answerable.errors import shown
from answerable.errors.codes.mandate import DELEGATION_NOTHING_IN_COMMON

if TYPE_CHECKING:
    from answerable.core.mandate.constraint import Constraint


def narrower(child: Authority, parent: Authority) -> str | None:
    """Return what makes the child wider than its parent, in human-readable words, or None if nothing does.

    The child must repeat every constraint of the parent, with the same key and type and no looser bound. A constraint
    of one type never implies a constraint of another type.
    """
    for scope in child.scopes:
        if not any(covers(held, scope) for held in parent.scopes):
            return f"includes {shown(scope, 60)}, which its parent does not"
    carried = {(one.key, one.type): one for one in child.constraints}
    for bound in parent.constraints:
        own = carried.get((bound.key, bound.type))
        if own is None:
            return f"drops its parent's `{shown(bound.type, 40)[1:-1]}` bound on {shown(bound.key, 60)}"
        if not bound.covers(own):
            return f"loosens its parent's `{shown(bound.type, 40)[1:-1]}` bound on {shown(bound.key, 60)}"
    return None


def meet(parent: Authority, asked: Authority) -> Authority:
    """Return the widest authority that both permit: the scopes that both cover, within the constraints of both.

    Raises Malformed (`delegation.nothing_in_common`) if no scope is left, or if no action could satisfy two of the
    bounds.
    """
    scopes = [scope for scope in asked.scopes if any(covers(held, scope) for held in parent.scopes)]
    scopes += [held for held in parent.scopes if any(covers(scope, held) for scope in asked.scopes)]
    if not scopes:
        raise DELEGATION_NOTHING_IN_COMMON(
            f"none of the requested scopes can be granted: available are {shown(', '.join(parent.scopes))}"
        )
    bounds: dict[tuple[str, str], Constraint] = {(one.key, one.type): one for one in parent.constraints}
    for one in asked.constraints:
        pair = (one.key, one.type)
        bounds[pair] = joined(bounds[pair], one) if pair in bounds else one
    return Authority(scopes=tuple(dict.fromkeys(scopes)), constraints=tuple(bounds.values()))
