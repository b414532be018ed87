"""Send people an attention check now and then: a real action that they were asked about, with one detail made wrong.

It takes the path of every question: verified, decided by the policies in force, recorded, stored and announced. An
action that policy does not defer to people is not sent.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec import structs

from answerable.core.action.request import action_request
from answerable.core.approval.assurance_level import tier_shown
from answerable.core.approval.attention_check import NONCE_BYTES, AttentionCheck, made_wrong
from answerable.core.registry.documents.pointing import with_changed
from answerable.errors import Malformed, Refused
from answerable.flows.approval.attention_check_targets import reaches_duty
from answerable.flows.escalation.request_approval import ask_people
from answerable.flows.walk.decide_action import decide_action
from answerable.flows.walk.govern_action import gather_facts, govern_action
from answerable.flows.walk.preview_effect import Governing, preview_effect
from answerable.flows.walk.spend_budget import accounts_of, require_left, spend_on
from answerable.flows.walk.verify_request import verify_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.action.request import ActionRequest, VerifiedRequest
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.canary_desk import AttentionCheckState
    from answerable.flows.state.parts import LiveAccess, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.entropy import Entropy

DAY_MS: Final = 86_400_000
PATTERN_MS_MAX: Final = 4 * 3_600_000
"""How long after people were asked about an action a similar one is no surprise."""
LOOK_MS_MAX: Final = 600_000
"""Longest time counted per draw: a process that was suspended does not catch up."""
TRIES_MAX: Final = 8
CRITICAL: Final = 3
_DRAW_BYTES: Final = 8


async def send_attention_check(
    recorder: Recorder, planning: Planning, deciding: Deciding, live: LiveAccess
) -> Approval | None:
    """Draw whether to send an attention check now, and send it. Return the approval, or None.

    However often this is called, `canaries_per_day` are sent per day on average, never more, and only while people are
    asked real questions anyway. Raises Unavailable.
    """
    now, desk = recorder.clock.now(), deciding.asking.canaries
    since, desk.looked_at = desk.looked_at, now
    if not deciding.asking.limits.canaries_per_day or not since:
        return None
    share = min(max(0, now - since), LOOK_MS_MAX) * deciding.asking.limits.canaries_per_day
    if not _drawn(recorder.entropy, share, of=DAY_MS) or not _is_a_time(
        planning.authority.approvals, deciding.asking.limits, now
    ):
        return None
    for pattern in _patterns(
        planning.authority.approvals, deciding.asking.canaries, deciding.asking.limits, recorder.entropy, now
    ):
        asked = await asked_canary(recorder, planning, deciding, live, pattern, now)
        if asked is not None:
            return asked
    return None


async def asked_canary(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    pattern: VerifiedRequest,
    now: UnixMillis,
) -> Approval | None:
    """Ask people about a wrong variant of this action; None where no variant is possible. Raises Unavailable."""
    if pattern.resolved.capability.preview is not None or pattern.prepared is not None:
        # People would see what a tool reported about the action, and no tool is called for a test.
        return None
    govern = partial(govern_action, recorder, planning, deciding, live)
    preview = partial(preview_effect, recorder, planning, deciding, Governing(gather_facts, govern))
    wrong = [*made_wrong(pattern.resolved.capability, pattern.arguments)]
    for what, argument, value in sorted(wrong, key=lambda _: recorder.entropy.bytes(_DRAW_BYTES)):
        capability = pattern.resolved.capability
        arguments = with_changed(capability.arguments, pattern.request.arguments, {argument: value})
        if arguments is None:
            continue
        digest = sha256(recorder.entropy.bytes(NONCE_BYTES)).digest()
        caller = structs.replace(
            pattern.caller, message_digest=digest, at=now, sequence=pattern.caller.sequence + 1
        )
        try:
            verified = verify_request(
                planning,
                deciding.counters.quota,
                recorder.ledger,
                deciding.asking.limits,
                _changed(pattern.request, arguments, digest),
                caller,
            )
            verified, facts, decision = decide_action(recorder, planning, deciding, verified, gather_facts)
            accounts = accounts_of(verified)
            require_left(
                planning.authority.mandates,
                accounts,
                spend_on(planning.authority.registry, deciding.asking.limits, verified, accounts),
            )
        except (Refused, Malformed):
            continue
        action = verified.request.action.digest
        is_open = planning.authority.approvals.matching(
            verified.caller.agent, verified.mandate.id, action, now
        )
        asks = {group for one in decision.requirements for group in one.groups}
        people = {
            group for one in planning.authority.registry.current.principals.values() for group in one.groups
        }
        # A question that only workflows answer does not show whether people pay attention.
        wanted = asks & people & (set(deciding.asking.limits.canary_groups) or asks)
        # A pending approval of this very action needs a real answer.
        if decision.effect != "defer" or is_open is not None or not wanted:
            continue
        if not reaches_duty(planning.authority, deciding.asking, verified, decision, now):
            continue
        canary = AttentionCheck(nonce=recorder.entropy.bytes(NONCE_BYTES), wrong=what, argument=argument)
        # Have pending attention checks searched again, even if this one is stored and could not be recorded.
        deciding.asking.canaries.waiting = None
        return await ask_people(
            recorder,
            planning.authority,
            deciding.asking,
            verified,
            decision,
            at=facts.at,
            preview=preview,
            canary=canary,
        )
    return None


def _changed(request: ActionRequest, arguments: dict[str, JSONValue], digest: bytes) -> ActionRequest:
    return action_request(
        server=request.server,
        method=request.method,
        target=request.target,
        arguments=arguments,
        mandate_id=request.mandate_id,
        reason=request.reason,
        message_digest=digest,
        delegation=request.delegation,
    )


def _is_a_time(approvals: ApprovalRegister, limits: WalkLimits, now: UnixMillis) -> bool:
    """Whether a test may be sent now: a pending critical question must wait alone, and daily limits apply."""
    pending = list(approvals.all(pending_only=True, now=now))
    if any(one.canary is None and tier_shown(one) >= CRITICAL for one in pending):
        return False
    if sum(one.canary is not None for one in pending) >= limits.canaries_pending_max:
        return False
    of_the_day = 0
    for one in approvals.all(pending_only=False, now=now):
        of_the_day += one.canary is not None and one.created_at > now - DAY_MS
    return of_the_day < limits.canaries_per_day


def _patterns(
    approvals: ApprovalRegister,
    canaries: AttentionCheckState,
    limits: WalkLimits,
    entropy: Entropy,
    now: UnixMillis,
) -> Iterator[VerifiedRequest]:
    """Yield some of the last real actions in random order."""
    pending = list(approvals.all(pending_only=True, now=now))
    mixed = sorted(canaries.patterns, key=lambda _: entropy.bytes(_DRAW_BYTES))
    for at, verified in mixed[:TRIES_MAX]:
        own = sum(one.agent == verified.caller.agent for one in pending)
        recent = now - at <= PATTERN_MS_MAX
        wanted = verified.resolved.capability.tier >= limits.canary_tier_min
        if recent and wanted and own < limits.approvals_pending_per_agent_max:
            yield verified


def _drawn(entropy: Entropy, part: int, *, of: int) -> bool:
    """Return True with probability part/of."""
    return int.from_bytes(entropy.bytes(_DRAW_BYTES), "big") * of < part << (8 * _DRAW_BYTES)
