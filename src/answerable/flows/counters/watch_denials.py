"""Signal to stop rules that people denied an agent's request.

A denial counts once per round of requests. An approval that was already pending when the last counted denial was given,
to the same agent for the same capability, was requested before that denial and is no variation of the denied request. A
person who denies two hundred at once therefore counts once. A denial that does not count begins no round: otherwise an
agent that always sends its next request before the last answer would never be counted.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from answerable.core.containment.stop_rule_signal import StopRuleSignal
from answerable.core.registry.documents.stop_rule import BY_PEOPLE
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import Unavailable
from answerable.flows.counters.trigger_rules import count, rules_now

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.parts import AuthorityRegisters, Counters
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.entropy import Entropy

NOES_MAX: Final = 10_000
"""Pairs of agent and capability kept in memory; past it, the register is read again."""


def count_no(
    authority: AuthorityRegisters,
    counters: Counters,
    entropy: Entropy,
    after: Approval,
    *,
    at: UnixMillis,
    index: int,
) -> None:
    """Check whether an answer in the log is a denial that counts, and count it. after: the approval after the answer.
    Never raises: if earlier denials cannot be read, this one counts."""
    if after.state != "denied" or not any(
        rule.watches in BY_PEOPLE for rule, _ in rules_now(authority.registry, counters.stop_rules)
    ):
        return
    place, noes = (str(after.agent), after.capability), counters.stop_rules.noes
    before = noes.get(place, 0)
    with suppress(Unavailable):
        before = before or _last_counted(authority.approvals, after)
    if len(noes) >= NOES_MAX:
        noes.clear()
    is_new = is_new_round(after, before, at)
    noes[place] = at if is_new else before
    if is_new:
        count(authority, counters, entropy, no_said(after, authority.registry.current, at=at), index=index)


def is_new_round(approval: Approval, before: int, at: int) -> bool:
    """Whether the approval was requested after the last denial that counts. before: time of that denial, Unix
    milliseconds; 0 for none. at: time of this denial; if it is earlier, the clock was set back, and the denial counts.
    """
    return not before or approval.created_at >= before or at < before


def no_said(approval: Approval, snapshot: RegistrySnapshot, *, at: int) -> StopRuleSignal:
    """Return the stop-rule signal of a denial."""
    capability = snapshot.capabilities.get(approval.capability)
    is_tool = capability is not None and capability.method == TOOLS_CALL
    return StopRuleSignal(
        kind="said_no",
        at=at,
        agents=(approval.agent,),
        mandate=approval.mandate,
        server=capability.server if capability is not None else "",
        tool=capability.target if capability is not None and is_tool else "",
        capability=approval.capability,
    )


def _last_counted(approvals: ApprovalRegister, after: Approval) -> int:
    """Return the time of the last denial that counts, from the register, ignoring the approval being answered."""
    noes = sorted(
        (
            (answer.at, one.id, one)
            for one in approvals.all(pending_only=False, now=after.created_at)
            if one.canary is None
            and one.id != after.id
            and (one.agent, one.capability) == (after.agent, after.capability)
            for answer in one.answers
            if answer.verdict == "deny"
        ),
        key=lambda no: no[:2],
    )
    before = 0
    for at, _, approval in noes:
        before = at if is_new_round(approval, before, at) else before
    return before
