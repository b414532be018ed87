"""Stop rules: simulate which holds a rule would have placed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import rule_answers as answers
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.errors import shown
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.policy.simulate_rule import simulate_rule

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.ports.rule_trial import RuleFiring


@operation(
    "GET",
    "/v1/stop-rules/{name}/simulation",
    id="simulate_rule",
    summary="What a stop rule would have held of what is in the ledger; changes nothing",
    answer=answers.RuleSimulation,
    query=(("since", TEXT, "Unix milliseconds; without it from the first entry on"),),
    is_long=True,
)
async def simulate(call: Call) -> answers.RuleSimulation:
    """Return the holds that a rule would have placed since a time."""
    since = call.query.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) <= 16):
        raise REQUEST_QUERY(f"{shown(since)} is not a number of Unix milliseconds")
    found = await simulate_rule(
        call.product.searches,
        call.walk.recorder,
        call.walk.authority,
        call.walk.limits,
        call.path["name"],
        since=int(since),
    )
    return answers.RuleSimulation(
        start=found.start,
        end=found.end,
        size=found.size,
        partial=found.end < found.size,
        unlisted=found.unlisted,
        unknown=found.unknown,
        firings=tuple(_firing(one) for one in found.firings),
        others=found.others,
    )


def _firing(one: RuleFiring) -> answers.Firing:
    return answers.Firing(
        index=one.index,
        at=instant(one.at),
        owner=one.owner,
        value=one.value,
        kind=one.what.kind,
        name=one.what.name,
        stopped=one.stopped,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (simulate,)
