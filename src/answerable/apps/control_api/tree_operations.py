"""Show a mandate as a tree: its hops, and the actions done under each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.api import tree_answers as answers
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.incident.handed_on import narrowed, traced_hop
from answerable.core.incident.mandate_tree import Branch, Tally
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import MANDATE_UNKNOWN
from answerable.errors.codes.search import SEARCH_FAILED
from answerable.flows.tokens.trace_mandate import hop_states, mandate_state
from answerable.flows.validity.mandate_validity import shard_fault
from answerable.ports.search_process import TREE, TreeQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.apps.control_api.call import Call
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate
    from answerable.ports.search_process import TreeAnswer

ENDED: Final = ("closed", "fallen", "revoked", "expired")
"""States of a mandate that apply to all of its hops."""


@operation(
    "GET",
    "/v1/mandates/{id}/tree",
    id="show_mandate_tree",
    summary="What was handed on below a mandate, to whom, and what was done at each place",
    answer=answers.MandateTree,
    of_index=True,
)
async def show_tree(call: Call) -> answers.MandateTree:
    """Return the mandate, its hops, each after its parent, and the actions under each."""
    mandate = call.walk.authority.mandates.find(MandateId(call.path["id"]))
    if mandate is None:
        raise MANDATE_UNKNOWN(f"mandate {shown(call.path['id'])} is not known")
    fault = shard_fault(mandate, call.walk.recorder.ledger.origin)
    if fault is not None:
        # Its actions are in the log of the other shard alone.
        raise fault
    tree = await call.product.searches.ask(TREE, TreeQuestion(mandate=mandate.id))
    branches = told_branches(tree)
    state, because = mandate_state(call.walk.authority, mandate)
    states = {
        name: (state, because) if _counts_first(state, of_hop[0]) else of_hop
        for name, of_hop in hop_states(call.walk.authority, branches, call.walk.clock.now()).items()
    }
    whole = _authority(mandate)
    return answers.MandateTree(
        id=mandate.id,
        principal=mandate.principal,
        agent=mandate.agent,
        purpose=mandate.purpose,
        state=state,
        because=because,
        expires_at=instant(mandate.expires_at),
        actions=tree.actions,
        hops=tuple(_hop(one, states, whole) for one in branches),
        hops_count=tree.hops_count,
    )


def told_branches(tree: TreeAnswer) -> tuple[Branch, ...]:
    """Return the hops that an index tells, each after its parent."""
    found: list[Branch] = []
    for one in tree.hops:
        hop = traced_hop(one.leaf, {"token": one.token})
        if hop is None:
            raise SEARCH_FAILED("the process that answers searches tells of a hop that is none")
        above = found[one.above].hop if one.above >= 0 else None
        found.append(Branch(hop=hop, above=above, tally=Tally(**structs.asdict(one.actions))))
    return tuple(found)


def _counts_first(state: str, of_hop: str) -> bool:
    """Whether the mandate's state takes precedence over a hop's own."""
    return (state in ENDED and of_hop != "revoked") or (state == "held" and of_hop == "open")


def _authority(mandate: Mandate) -> Authority | None:
    try:
        return authority_of(mandate)
    except Malformed:
        # Such a mandate cannot be delegated, so there is nothing to compare with it.
        return None


def _hop(branch: Branch, states: Mapping[str, tuple[str, str]], whole: Authority | None) -> answers.HopRow:
    hop, above = branch.hop, branch.above
    state, because = states[hop.name]
    return answers.HopRow(
        id=hop.jti,
        parent=above.jti if above is not None else "",
        depth=hop.depth,
        agent=hop.agent,
        form=hop.form,
        narrowed=tuple(narrowed(hop.authority, above.authority if above is not None else whole)),
        state=state,
        because=because,
        expires_at=instant(hop.expires_at),
        revocable_as=hop.said.raw.hash if hop.said is not None else "",
        actions=_actions(branch.tally),
    )


def _actions(tally: Tally) -> answers.ActionCounts:
    return answers.ActionCounts(
        done=tally.done,
        failed=tally.failed,
        refused=tally.refused,
        unknown=tally.unknown,
        in_flight=tally.in_flight,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (show_tree,)
