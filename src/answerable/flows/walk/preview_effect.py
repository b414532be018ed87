"""Preview an action for its approval card by calling a read-only tool.

The preview is itself an action of the same agent under the same mandate: it is decided, its intent and outcome are in
the ledger, and its lease has a name there. So it reads nothing that the agent may not read. The result goes on the card
and never to the agent.

Laws: people are asked even if the preview fails, and the card states why there is none. A preview that would be refused
or deferred is not tried, so that it does not count as a refusal of the agent. It never takes budget that the action
needs. It runs once for each approval, in bounded time.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
from msgspec import structs

from answerable.core.action.request import action_request
from answerable.core.approval.effect_lines import Lines, bounded, destination_lines, result_lines
from answerable.core.registry.documents.pointing import value_at
from answerable.core.registry.tools.tool_hints import hints_of
from answerable.core.registry.tools.tool_pin import read_definition
from answerable.errors import AnswerableError, Broken, shown
from answerable.errors.codes.action import PREVIEW_NONE
from answerable.flows.walk.decide_action import decide_action
from answerable.flows.walk.spend_budget import accounts_of, spend_on
from answerable.flows.walk.verify_request import verify_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import ApprovalId
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.answer import Answer
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.preview_mapping import PreviewMapping
    from answerable.flows.counters.watch_rules import Gather
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock

NONE: Final = "no preview"
DETAIL_CHARS_MAX: Final = 200

_log: Final = logging.getLogger(__name__)


class Governing(NamedTuple):
    """The functions that govern actions, passed in to avoid an import cycle. `gather`: step 3. `govern`: every
    step."""

    gather: Gather
    govern: Callable[[ActionRequest, VerifiedCaller], Awaitable[Answer]]


async def preview_effect(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    governing: Governing,
    verified: VerifiedRequest,
    approval: ApprovalId,
) -> Lines:
    """Return the preview lines for the card of `approval`. Raises Broken; any other fault becomes a line."""
    lines = destination_lines(verified.destinations)
    mapping = verified.resolved.capability.preview
    if mapping is None:
        return lines
    capability = planning.authority.registry.current.capabilities.get(mapping.capability)
    if capability is None:
        return bounded([*lines, (NONE, f"capability {shown(mapping.capability)} is not active")])
    try:
        request = _request(verified, capability, _arguments(mapping, verified.request.arguments), approval)
        _check(recorder, planning, deciding, governing, verified, request)
        told = await _asked(governing, deciding.asking.limits, recorder.clock, verified, capability, request)
    except Broken:
        raise
    except AnswerableError as failed:
        told = ((NONE, failed.message),)
    except Exception as failed:
        # People are asked whatever fails on the way to a server.
        _log.exception("the preview of an action broke")
        told = ((NONE, f"the way to the server broke: {type(failed).__name__}"),)
    return bounded([*lines, *told])


def _request(
    verified: VerifiedRequest, capability: Capability, arguments: dict[str, JSONValue], approval: ApprovalId
) -> ActionRequest:
    """Build the preview request from the message that the agent's proof covers. Raises Malformed."""
    request = verified.request
    made = action_request(
        server=capability.server,
        method=capability.method,
        target=capability.target,
        arguments=arguments,
        mandate_id=request.mandate_id,
        message_digest=request.message_digest,
        delegation=request.delegation,
    )
    return structs.replace(made, preview_of=approval)


def _arguments(mapping: PreviewMapping, arguments: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Map the action's arguments to the preview tool's arguments; absent arguments stay absent."""
    if mapping.arguments is None:
        return arguments
    found = {
        name: value_at(arguments, place) if place.startswith("/") else arguments.get(place)
        for name, place in mapping.arguments
    }
    return {name: value for name, value in found.items() if value is not None}


def _check(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    governing: Governing,
    verified: VerifiedRequest,
    request: ActionRequest,
) -> None:
    """Check, without calling the tool, that the preview would be allowed. Raises Refused, Unavailable."""
    limits = deciding.asking.limits
    asked = verify_request(
        planning, deciding.counters.quota, recorder.ledger, limits, request, verified.caller
    )
    capability = asked.resolved.capability
    name = shown(capability.name)
    if not hints_of(read_definition(asked.definition.text)).read_only:
        raise PREVIEW_NONE(
            f"the server does not declare {shown(capability.target)} as read-only (`readOnlyHint`)"
        )
    if capability.kind != "read" or capability.tier != 0:
        raise PREVIEW_NONE(
            f"{name} is now of kind {capability.kind} and tier {capability.tier}, and a preview must "
            "be a read of tier 0"
        )
    if asked.subject != verified.subject:
        raise PREVIEW_NONE(f"{name} concerns another data subject than the action")
    after, _, decision = decide_action(recorder, planning, deciding, asked, governing.gather)
    if decision.effect != "allow":
        why = decision.reasons[0].text if decision.reasons else "policy gave no reason"
        what = "would itself wait for people" if decision.effect == "defer" else "is not allowed"
        raise PREVIEW_NONE(f"{name} {what}: {why}")
    if after is not asked:
        raise PREVIEW_NONE(f"policy would narrow the arguments of {name}")
    _check_budget(planning.authority, limits, verified, asked)


def _check_budget(
    authority: AuthorityRegisters, limits: WalkLimits, verified: VerifiedRequest, asked: VerifiedRequest
) -> None:
    """Check that the preview leaves the budget that the action needs. Raises Refused."""
    accounts, own_accounts = accounts_of(verified), accounts_of(asked)
    needed, own = (
        spend_on(authority.registry, limits, verified, accounts),
        spend_on(authority.registry, limits, asked, own_accounts),
    )
    together = {name: needed.get(name, 0) + own.get(name, 0) for name in {**needed, **own}}
    shared = {one.id for one in accounts}
    lack = authority.mandates.lack(tuple(one for one in own_accounts if one.id in shared), together)
    if lack is not None:
        raise PREVIEW_NONE(f"the preview would use budget that the action needs: {lack.text()}")


async def _asked(
    governing: Governing,
    limits: WalkLimits,
    clock: Clock,
    verified: VerifiedRequest,
    capability: Capability,
    request: ActionRequest,
) -> Lines:
    """Run the preview and return the lines for the card. Raises AnswerableError as the walk does."""
    server = shown(capability.server)
    seconds = limits.preview_ms_max / 1000
    answer: Answer | None = None
    with anyio.move_on_after(seconds):
        answer = await governing.govern(request, verified.caller)
    if answer is None or answer.outcome is None:
        return ((NONE, f"{server} did not answer {shown(capability.target)} in {seconds:g} s"),)
    outcome = answer.outcome
    if outcome.status != "succeeded" or outcome.result is None:
        return ((NONE, f"{server}: {_words(outcome)}"),)
    at = datetime.fromtimestamp(clock.now() / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    heading = (
        f"says server {server} to {shown(capability.name)}, not verified; as of {at}, and it may be otherwise when it "
        "runs"
    )
    return (("dry run", heading), *result_lines(outcome.result, verified.request.arguments))


def _words(outcome: Outcome) -> str:
    how = {"failed": "it said no", "indeterminate": "what came of it is not known"}.get(
        outcome.status, "it was not asked"
    )
    # Quote the detail: it may be the upstream's words.
    return f"{how}: {shown(outcome.detail, DETAIL_CHARS_MAX)}" if outcome.detail else how
