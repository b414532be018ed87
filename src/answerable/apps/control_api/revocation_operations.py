"""Revocations: revoke and list them; the answer says what was stopped and what had already happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import COUNT, FLAG, INSTANT, TEXT, TEXTS, choice, record
from answerable.core.ledger.effects import counts
from answerable.core.mandate.revocation import NAME_CHARS_MAX, REASON_CHARS_MAX, REVOCATION_KINDS, revocable
from answerable.flows.revocation.revoke_authority import revoke_authority

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.revocation import Revocation
    from answerable.flows.revocation.revoke_authority import Stopped


async def revoke(call: Call) -> Answer:
    """Revoke something by its kind and name, for good."""
    body = call.members("kind", "name", "reason")
    what = revocable(body.text("kind", chars_max=16), body.text("name", chars_max=NAME_CHARS_MAX))
    given = isinstance(call.body, dict) and "reason" in call.body
    reason = body.text("reason", chars_max=REASON_CHARS_MAX) if given else ""
    stopped = await revoke_authority(
        call.walk, what, by=call.by, reason=reason, workloads=getattr(call.product, "workloads", None)
    )
    return _stopped(call, stopped)


async def list_revocations(call: Call) -> Answer:
    """List every revocation, newest first."""
    found = call.walk.revocations.all()
    return page_of(call, found, name=lambda one: f"{one.what.kind}:{one.what.name}", render=_revocation)


def _revocation(one: Revocation) -> Answer:
    return {
        "kind": one.what.kind,
        "name": one.what.name,
        "at": instant(one.at),
        "by": one.by,
        "reason": one.reason,
    }


def _stopped(call: Call, stopped: Stopped) -> Answer:
    return {
        "revocation": _revocation(stopped.revocation),
        "new": stopped.is_new,
        "stopped": {
            "mandates": list(stopped.mandates),
            "mandates_count": stopped.mandates_count,
            "tokens": list(stopped.tokens),
            "tokens_count": stopped.tokens_count,
            "approvals": list(stopped.approvals),
            "instances": list(stopped.instances),
            "instances_count": stopped.instances_count,
        },
        "in_flight": [
            {
                "log": one.log,
                "entry": one.index,
                "action": one.action,
                "agent": one.agent,
                "capability": one.capability,
                "since": instant(one.since),
                "due": instant(one.due_at),
            }
            for one in stopped.in_flight
        ],
        "in_flight_count": sum(one.in_flight_count for one in stopped.effects),
        "done": [
            {
                "log": one.log,
                "entry": one.index,
                "action": one.action,
                "agent": one.agent,
                "capability": one.capability,
                "at": instant(one.at),
                "status": one.status,
                "undoing": one.undoing,
            }
            for one in stopped.done
        ],
        "done_count": {str(one): count for one, count in counts(stopped.effects).items()},
        "logs": _logs(stopped),
        "log": call.walk.ledger.origin,
    }


def _logs(stopped: Stopped) -> list[JSONValue]:
    """Return how much of each log was examined, and which logs could not be read."""
    found: list[JSONValue] = [
        {"log": one.log, "asked": True, "looked_from": one.looked_from, "entries": one.entries, "why": ""}
        for one in stopped.effects
    ]
    found += [
        {"log": one.log, "asked": False, "looked_from": 0, "entries": 0, "why": one.why}
        for one in stopped.not_asked
    ]
    return found


_ACTION: Final[dict[str, Schema]] = {
    "log": TEXT,
    "entry": COUNT,
    "action": TEXT,
    "agent": TEXT,
    "capability": TEXT,
}
_UNDOING: Final = ("not_reversible", "reversible", "read")

COMPONENTS: Final[dict[str, Schema]] = {
    "RevocationRequest": record(
        {"kind": choice(*REVOCATION_KINDS), "name": TEXT, "reason": TEXT}, optional=("reason",)
    ),
    "Revocation": record(
        {"kind": choice(*REVOCATION_KINDS), "name": TEXT, "at": INSTANT, "by": TEXT, "reason": TEXT}
    ),
    "Stopped": record(
        {
            "revocation": record(
                {"kind": choice(*REVOCATION_KINDS), "name": TEXT, "at": INSTANT, "by": TEXT, "reason": TEXT}
            ),
            "new": FLAG,
            "stopped": record(
                {
                    "mandates": TEXTS,
                    "mandates_count": COUNT,
                    "tokens": TEXTS,
                    "tokens_count": COUNT,
                    "approvals": TEXTS,
                    "instances": TEXTS,
                    "instances_count": COUNT,
                }
            ),
            "in_flight": {"type": "array", "items": record({**_ACTION, "since": INSTANT, "due": INSTANT})},
            "in_flight_count": COUNT,
            "done": {
                "type": "array",
                "items": record(
                    {
                        **_ACTION,
                        "at": INSTANT,
                        "status": choice("succeeded", "indeterminate"),
                        "undoing": choice(*_UNDOING),
                    }
                ),
            },
            "done_count": record(dict.fromkeys(_UNDOING, COUNT)),
            "logs": {
                "type": "array",
                "items": record(
                    {"log": TEXT, "asked": FLAG, "looked_from": COUNT, "entries": COUNT, "why": TEXT}
                ),
            },
            "log": TEXT,
        }
    ),
}
"""In addition to those of `schemas`."""

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="revoke",
        method="POST",
        path="/v1/revocations",
        summary="Revoke a token, hop, mandate, agent, key, manifest, owner, vendor or trust domain, permanently",
        body="RevocationRequest",
        answer="Stopped",
        run=revoke,
    ),
    Operation(
        id="list_revocations",
        method="GET",
        path="/v1/revocations",
        summary="Everything that was revoked, newest first",
        answer="Revocation",
        page=True,
        run=list_revocations,
    ),
)
