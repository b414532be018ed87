"""Show a mandate as a tree: its hops, and the actions done under each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.api import tree_answers as answers
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.incident.handed_on import narrowed
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import MANDATE_UNKNOWN
from answerable.flows.recording.give_way import Turns
from answerable.flows.tokens.trace_mandate import hop_states, mandate_state, trace_mandate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.apps.control_api.call import Call
    from answerable.core.incident.mandate_tree import Branch, Tally
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate

HOPS_MAX: Final = 1_000
"""Hops in one answer; the answer has the number of the others."""
ENDED: Final = ("closed", "fallen", "revoked", "expired")
"""States of a mandate that apply to all of its hops."""


@operation(
    "GET",
    "/v1/mandates/{id}/tree",
    id="show_mandate_tree",
    summary="What was handed on below a mandate, to whom, and what was done at each place",
    answer=answers.MandateTree,
)
async def show_tree(call: Call) -> answers.MandateTree:
    """Return the mandate, its hops, each after its parent, and the actions under each."""
    mandate = call.walk.authority.mandates.find(MandateId(call.path["id"]))
    if mandate is None:
        raise MANDATE_UNKNOWN(f"mandate {shown(call.path['id'])} is not known")
    # A long log takes time to read: other callers are served meanwhile.
    entries: list[StoredEntry] = []
    turns = Turns(call.walk.clock)
    for stored in call.walk.recorder.ledger.replay():
        entries.append(stored)
        await turns.after(len(entries))
    tree = await to_thread.run_sync(trace_mandate, entries, mandate.id, call.walk.recorder.subject_keys.find)
    state, because = mandate_state(call.walk.authority, mandate)
    states = {
        name: (state, because) if _counts_first(state, found[0]) else found
        for name, found in hop_states(call.walk.authority, tree.branches, call.walk.clock.now()).items()
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
        actions=_actions(tree.tally),
        hops=tuple(_hop(one, states, whole) for one in tree.branches[:HOPS_MAX]),
        hops_count=len(tree.branches),
    )


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
