"""Stop rules: simulate which holds a rule would have placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.schemas import COUNT, FLAG, INSTANT, TEXT, Schema, record, sequence
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.policy.simulate_rule import simulate_rule

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call


async def simulate(call: Call) -> Answer:
    """Return the holds that a rule would have placed since a time."""
    since = call.query.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) <= 16):
        raise REQUEST_QUERY(f"{shown(since)} is not a number of Unix milliseconds")
    found = await simulate_rule(call.walk, call.path["name"], since=int(since))
    return {
        "start": found.start,
        "end": found.end,
        "size": found.size,
        "partial": found.end < found.size,
        "unlisted": found.unlisted,
        "unknown": found.unknown,
        "firings": [
            {
                "index": one.index,
                "at": instant(one.at),
                "owner": one.owner,
                "value": one.value,
                "kind": one.what.kind,
                "name": one.what.name,
                "stopped": one.stopped,
            }
            for one in found.firings
        ],
    }


COMPONENTS: Final[dict[str, Schema]] = {
    "RuleSimulation": record(
        {
            "start": COUNT,
            "end": COUNT,
            "size": COUNT,
            "partial": FLAG,
            "unlisted": COUNT,
            "unknown": COUNT,
            "firings": sequence(
                record(
                    {
                        "index": COUNT,
                        "at": INSTANT,
                        "owner": TEXT,
                        "value": COUNT,
                        "kind": TEXT,
                        "name": TEXT,
                        "stopped": COUNT,
                    }
                )
            ),
        }
    )
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="simulate_rule",
        method="GET",
        path="/v1/stop-rules/{name}/simulation",
        summary="What a stop rule would have held of what is in the ledger; changes nothing",
        answer="RuleSimulation",
        query=(("since", TEXT, "Unix milliseconds; without it from the first entry on"),),
        run=simulate,
    ),
)
