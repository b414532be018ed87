"""Show a mandate as a tree: its hops, and the actions done under each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import COUNT, INSTANT, TEXT, TEXTS, choice, record, sequence
from answerable.core.incident.handed_on import narrowed
from answerable.core.mandate.authority import authority_of
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import MANDATE_UNKNOWN
from answerable.flows.recording.give_way import Turns
from answerable.flows.tokens.trace_mandate import MANDATE_STATES, hop_states, mandate_state, trace_mandate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.core.incident.mandate_tree import Branch, Tally
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate

HOPS_MAX: Final = 1_000
"""Hops in one answer; the answer has the number of the others."""
ENDED: Final = ("closed", "fallen", "revoked", "expired")
"""States of a mandate that apply to all of its hops."""


async def show_tree(call: Call) -> Answer:
    """Return the mandate, its hops, each after its parent, and the actions under each."""
    mandate = call.walk.mandates.find(MandateId(call.path["id"]))
    if mandate is None:
        raise MANDATE_UNKNOWN(f"mandate {shown(call.path['id'])} is not known")
    # A long log takes time to read: other callers are served meanwhile.
    entries: list[StoredEntry] = []
    turns = Turns(call.walk.clock)
    for stored in call.walk.ledger.replay():
        entries.append(stored)
        await turns.after(len(entries))
    tree = await to_thread.run_sync(trace_mandate, entries, mandate.id, call.walk.subject_keys.find)
    state, because = mandate_state(call.walk, mandate)
    states = {
        name: (state, because) if _counts_first(state, found[0]) else found
        for name, found in hop_states(call.walk, tree.branches, call.walk.clock.now()).items()
    }
    whole = _authority(mandate)
    return {
        "id": mandate.id,
        "principal": mandate.principal,
        "agent": mandate.agent,
        "purpose": mandate.purpose,
        "state": state,
        "because": because,
        "expires_at": instant(mandate.expires_at),
        "actions": _actions(tree.tally),
        "hops": [_hop(one, states, whole) for one in tree.branches[:HOPS_MAX]],
        "hops_count": len(tree.branches),
    }


def _counts_first(state: str, of_hop: str) -> bool:
    """Whether the mandate's state takes precedence over a hop's own."""
    return (state in ENDED and of_hop != "revoked") or (state == "held" and of_hop == "open")


def _authority(mandate: Mandate) -> Authority | None:
    try:
        return authority_of(mandate)
    except Malformed:
        # Such a mandate cannot be delegated, so there is nothing to compare with it.
        return None


def _hop(branch: Branch, states: Mapping[str, tuple[str, str]], whole: Authority | None) -> JSONValue:
    hop, above = branch.hop, branch.above
    state, because = states[hop.name]
    return {
        "id": hop.jti,
        "parent": above.jti if above is not None else "",
        "depth": hop.depth,
        "agent": hop.agent,
        "form": hop.form,
        "narrowed": list(narrowed(hop.authority, above.authority if above is not None else whole)),
        "state": state,
        "because": because,
        "expires_at": instant(hop.expires_at),
        "revocable_as": hop.said.raw.hash if hop.said is not None else "",
        "actions": _actions(branch.tally),
    }


def _actions(tally: Tally) -> Answer:
    return {
        "done": tally.done,
        "failed": tally.failed,
        "refused": tally.refused,
        "unknown": tally.unknown,
        "in_flight": tally.in_flight,
    }


_ACTIONS: Final = record(dict.fromkeys(("done", "failed", "refused", "unknown", "in_flight"), COUNT))

COMPONENTS: Final[dict[str, Schema]] = {
    "MandateTree": record(
        {
            "id": TEXT,
            "principal": TEXT,
            "agent": TEXT,
            "purpose": TEXT,
            "state": choice(*MANDATE_STATES),
            "because": TEXT,
            "expires_at": INSTANT,
            "actions": _ACTIONS,
            "hops": sequence(
                record(
                    {
                        "id": TEXT,
                        "parent": TEXT,
                        "depth": COUNT,
                        "agent": TEXT,
                        "form": choice("online", "offline"),
                        "narrowed": TEXTS,
                        "state": choice("open", "held", *ENDED),
                        "because": TEXT,
                        "expires_at": INSTANT,
                        "revocable_as": TEXT,
                        "actions": _ACTIONS,
                    }
                )
            ),
            "hops_count": COUNT,
        }
    )
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="show_mandate_tree",
        method="GET",
        path="/v1/mandates/{id}/tree",
        summary="What was handed on below a mandate, to whom, and what was done at each place",
        answer="MandateTree",
        run=show_tree,
    ),
)
