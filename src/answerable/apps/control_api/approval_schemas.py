"""JSON schemas of approvals in the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    FLAG,
    INSTANT,
    TEXT,
    TEXTS,
    choice,
    nullable,
    record,
    sequence,
)

if TYPE_CHECKING:
    from answerable.apps.control_api.schemas import Schema

WHOLE: Final = (
    (
        "whole",
        choice("true"),
        "credentials as they are, for whoever is about to sign: else kind and fingerprint",
    ),
)
APPROVALS: Final[dict[str, Schema]] = {
    "Opening": record(
        {
            "nonce": {"type": "string", "description": "32 bytes, base64url, for one answer"},
            "action": DIGEST,
            "rendering": DIGEST,
            "ends_at": INSTANT,
        }
    ),
    "Approval": record(
        {
            "id": TEXT,
            "state": choice("pending", "approved", "denied", "expired", "used", "void"),
            "agent": TEXT,
            "principal": TEXT,
            "mandate": TEXT,
            "purpose": TEXT,
            "capability": TEXT,
            "action": {
                "type": "string",
                "description": "the action that will run, canonical JSON; asked with `whole`, `digest` is of it",
            },
            "digest": DIGEST,
            "object": {
                "type": "string",
                "description": "the action object in its envelope, canonical JSON; asked with `whole`, its SHA-256 "
                "is the action hash",
            },
            "card": {
                "type": "string",
                "description": "what people are shown of it, as canonical JSON text; its SHA-256 is the rendering hash",
            },
            "claimed": {"type": "string", "description": "the agent's own reason, which nothing checks"},
            "name_to_type": {
                "type": "string",
                "description": "what a person types to let it run, as it is critical; empty for all others",
            },
            "void_because": TEXTS,
            "test": {"type": "string", "description": "that it was a test and how it ended, once it has"},
            "reasons": TEXTS,
            "internal": {**TEXTS, "description": "reasons for people only, which the agent is never shown"},
            "requirements": sequence(record({"group": TEXT, "count": COUNT})),
            "narrowable": {
                **sequence(record({"name": TEXT, "value": {"oneOf": [COUNT, TEXTS]}})),
                "description": "amounts and lists among the arguments that an approver may propose less of",
            },
            "proposed": {
                "type": "string",
                "description": "the narrower action proposed by whoever denied it, as canonical JSON text; or empty",
            },
            "followed_by": {
                "type": "string",
                "description": "the approval that the agent asked for with what was proposed; or empty",
            },
            "answers": sequence(
                record(
                    {
                        "by": TEXT,
                        "workflow": {**TEXT, "description": "of theirs that answered; empty for themselves"},
                        "groups": TEXTS,
                        "in_place_of": {
                            "type": "string",
                            "description": "who is stood in for; empty for nobody",
                        },
                        "verdict": choice("approve", "deny", "break_glass"),
                        "signed": {
                            **FLAG,
                            "description": "false of a click in a chat, which is the chat's word and no signature",
                        },
                        "reason": TEXT,
                        "comment": TEXT,
                        "narrower": {
                            "type": "string",
                            "description": "values proposed instead, by argument, as canonical JSON text; or empty",
                        },
                        "at": INSTANT,
                        "token": TEXT,
                    }
                )
            ),
            "break_glass": {
                **TEXTS,
                "description": "who may let it run alone: one of the groups, joined by bars, of each; empty for nobody",
            },
            "review": nullable(
                record(
                    {
                        "state": choice("owed", "overdue", "done"),
                        "due_at": INSTANT,
                        "by": TEXT,
                        "verdict": TEXT,
                        "comment": TEXT,
                        "at": nullable(INSTANT),
                        "token": TEXT,
                    }
                )
            ),
            "created_at": INSTANT,
            "expires_at": INSTANT,
            "audience": TEXT,
        }
    ),
}
