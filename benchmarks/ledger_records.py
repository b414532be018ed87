"""One action's two records, ready to be built over and over: real sealing, real runs, the course's own registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from course import MANDATE, Course, channel_messages, one_action

from answerable.core.action.outcome import Outcome
from answerable.core.action.request import VerifiedRequest, action_request
from answerable.core.canonical import encode
from answerable.core.decision.decision import Decision
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger import records_actions
from answerable.core.ledger.entry import Entry, Receipt
from answerable.core.ledger.runs import Run
from answerable.core.mandate.budget import ONE_CALL, Reserved
from answerable.flows.entries.cite_statement import found_references
from answerable.flows.recording.record_entry import pseudonym_of, sealing_for
from answerable.flows.walk.verify_request import verify_request


@dataclass(frozen=True, slots=True)
class Prepared:
    """intent, outcome: build one for a place in the run. bare: an entry made beforehand."""

    mandate: str
    intent: Callable[[str, Run], Entry]
    outcome: Callable[[str, Receipt, Run], Entry]
    bare: Entry


async def prepared(made: Course) -> Prepared:
    """The records of one allowed action of the course, which is walked once: its statements stand in the log then."""
    await one_action(made, next(channel_messages(made)))
    verified = _verified(made)
    walk, mandate = made.walk, verified.mandate
    references = found_references(walk.recorder.cited, verified, walk.policies.decision_point.policy_set)
    assert references is not None
    sealing = sealing_for(walk.recorder, verified.subject)
    principal = pseudonym_of(walk.recorder, mandate.principal)
    decision = Decision(
        effect="allow",
        reasons=(),
        determined_by=("bench.allowed",),
        policy_set=walk.policies.decision_point.policy_set,
    )
    reserved = Reserved(accounts=(verified.mandate.id,), amounts=ONE_CALL)
    result = encode({"content": [{"type": "text", "text": "ok"}], "isError": False})
    done = Outcome(status="succeeded", result={})

    def intent(action_id: str, run: Run) -> Entry:
        now = walk.clock.now()
        return records_actions.intent(
            verified,
            decision,
            at=now,
            sealing=sealing,
            run=run,
            principal=principal,
            mandate_ref=references.mandate,
            policy_ref=references.policy_set,
            tool_ref=references.tool,
            action_id=action_id,
            idempotency_key=action_id,
            lease_name="",
            deadline=UnixMillis(now + 10_000),
            call=1,
            approval_id="",
            reserved=reserved,
            hops=[],
        )[0]

    def outcome(action_id: str, receipt: Receipt, run: Run) -> Entry:
        return records_actions.outcome(
            done,
            at=walk.clock.now(),
            sealing=sealing,
            run=run,
            action_id=action_id,
            intent=receipt,
            result=result,
            result_digest="",
        )

    return Prepared(
        mandate=mandate.id,
        intent=intent,
        outcome=outcome,
        bare=intent("0" * 32, Run(id="0" * 16, prev="", seq=0)),
    )


def _verified(made: Course) -> VerifiedRequest:
    message, channel = next(channel_messages(made))
    caller = made.verifier.verify(message, replace(channel, sequence=2) if channel is not None else None)
    request = action_request(
        server="crm",
        method="tools/call",
        target="customer_read",
        arguments={"case_id": "4711", "fields": ["name", "email", "plan", "notes"], "limit": 20},
        mandate_id=MANDATE,
        reason="the customer asks why the last invoice is higher; I look at plan and notes",
        message_digest=caller.message_digest,
    )
    return verify_request(
        made.walk.planning,
        made.walk.counters.quota,
        made.walk.recorder.ledger,
        made.walk.limits,
        request,
        caller,
    )
