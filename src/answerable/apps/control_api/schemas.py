"""JSON schemas (2020-12) of the control API's requests and answers: the components of its OpenAPI document."""

from __future__ import annotations

from typing import Final, TypeAlias, get_args

from answerable.core.approval.typed_name import TYPED_CHARS_MAX
from answerable.core.canonical import JSONValue
from answerable.core.registry.documents.capability import ACTION_KINDS
from answerable.flows.tokens.trace_mandate import MANDATE_STATES
from answerable.flows.walk.agent_standing import Standing

Schema: TypeAlias = "dict[str, JSONValue]"

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
INSTANT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339, UTC, milliseconds",
}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256, hexadecimal"}
ANCHOR: Final[Schema] = {
    "type": "string",
    "pattern": "^sha-256:[A-Za-z0-9_-]{43}$",
    "description": "integrity anchor (Mission-Bound Authorization)",
}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
DOCUMENT: Final[Schema] = {
    "type": "object",
    "description": "a registry document: apiVersion, kind, metadata, spec",
}


def reference(name: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(members: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a closed object."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def sequence(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def mapping(values: Schema) -> Schema:
    """Return the schema of an object with arbitrary member names."""
    return {"type": "object", "additionalProperties": values}


def choice(*options: str) -> Schema:
    """Return the schema of an enumeration."""
    return {"type": "string", "enum": list(options)}


def nullable(schema: Schema) -> Schema:
    """Return the schema, extended by null."""
    return {"anyOf": [schema, {"type": "null"}]}


def page(items: Schema) -> Schema:
    """Return the schema of one page of a list; `next` is the cursor of the following page, null on the last page."""
    return record({"items": sequence(items), "next": nullable(TEXT)})


_STANDING: Final[dict[str, Schema]] = {"active": FLAG, "reasons": TEXTS}
_OWNERSHIP: Final = record(
    {"owner": TEXT, "backup_owner": TEXT, "approver_group": TEXT, "audit_level": TEXT, "review_date": TEXT}
)
_INACTIVE: Final = record({"kind": TEXT, "name": TEXT, "missing": TEXTS, "reasons": TEXTS})

COMPONENTS: Final[dict[str, Schema]] = {
    "Status": record(
        {
            "version": TEXT,
            "origin": TEXT,
            "entries": COUNT,
            "open_intents": COUNT,
            "approvals_pending": COUNT,
            "reviews_owed": COUNT,
            "reviews_overdue": COUNT,
            "mandates_open": COUNT,
            "policy_set": TEXT,
            "policy_publishers": TEXT,
            "registry": TEXT,
            "servers": mapping(TEXT),
            "witnesses": sequence(reference("Witness")),
            "shards": sequence(reference("Shard")),
            "unreadable": sequence(record({"what": TEXT, "name": TEXT, "why": TEXT})),
            "registers": sequence(TEXT),
            "alarms": sequence(TEXT),
        }
    ),
    "Shard": record(
        {"origin": TEXT, "state": choice("waiting", "ok", "alarm"), "covered": COUNT, "reason": TEXT}
    ),
    "Witness": record(
        {
            "name": TEXT,
            "state": choice("waiting", "ok", "alarm"),
            "size": COUNT,
            "cosigned_at": nullable(INSTANT),
            "reason": TEXT,
            "since": nullable(INSTANT),
        }
    ),
    "Registered": record({"kind": TEXT, "name": TEXT, **_STANDING, "document": DOCUMENT}),
    "Documents": record({"documents": sequence(DOCUMENT), "prune": FLAG}, optional=("prune",)),
    "Applied": record(
        {
            "changes": sequence(
                record({"kind": TEXT, "name": TEXT, "how": choice("added", "changed", "removed")})
            ),
            "inactive": sequence(_INACTIVE),
            "before": TEXT,
            "after": TEXT,
            "undrilled": sequence(
                record({"kind": TEXT, "name": TEXT, "from": COUNT, "to": COUNT, "commands": TEXTS})
            ),
            "void": TEXTS,
        }
    ),
    "RegistryCheck": record(
        {
            "inactive": sequence(_INACTIVE),
            "findings": sequence(record({"kind": TEXT, "name": TEXT, "code": TEXT, "message": TEXT})),
        }
    ),
    "Agent": record(
        {
            "name": TEXT,
            "use_case": TEXT,
            "environment": TEXT,
            "status": choice("active", "suspended", "retired"),
            "standing": choice(*get_args(Standing)),
            **_STANDING,
            "keys": TEXTS,
            "unix_uids": sequence(COUNT),
            "certificates": TEXTS,
            "shares_account": FLAG,
            "ownership": _OWNERSHIP,
        }
    ),
    "Server": record(
        {
            "name": TEXT,
            "transport": choice("stdio", "http"),
            "target": TEXT,
            "state": TEXT,
            **_STANDING,
        }
    ),
    "Capability": record(
        {
            "name": TEXT,
            "title": TEXT,
            "server": TEXT,
            "method": TEXT,
            "target": TEXT,
            "kind": choice(*ACTION_KINDS),
            "environment": TEXT,
            "tier": COUNT,
            "unhinted_accepted": FLAG,
            "sensitivity": TEXT,
            "preview": nullable(record({"capability": TEXT, "arguments": nullable(mapping(TEXT))})),
            **_STANDING,
            "ownership": _OWNERSHIP,
        }
    ),
    "Template": record(
        {
            "name": TEXT,
            "use_case": TEXT,
            "agent": TEXT,
            "purpose": TEXT,
            "environment": TEXT,
            "capabilities": TEXTS,
            "parameters": sequence(record({"name": TEXT, "pattern": TEXT, "type": TEXT, "title": TEXT})),
            "calls_max": COUNT,
            "budgets": mapping(TEXT),
            "ttl_seconds": COUNT,
            **_STANDING,
        }
    ),
    "DraftRequest": record(
        {"principal": TEXT, "parameters": mapping(TEXT), "application": TEXT}, optional=("application",)
    ),
    "Draft": record(
        {
            "audience": TEXT,
            "claims": {
                "type": "object",
                "description": "what the principal signs, as canonical JSON members",
            },
            "titles": mapping(TEXT),
            "beside": record({"capabilities": TEXTS, "environments": TEXTS, "beyond": TEXTS}),
            "sentences": TEXTS,
            "intent_hash": ANCHOR,
            "authority_hash": ANCHOR,
            "nonce": {
                "type": "string",
                "description": "what the principal's ID token must carry if an application is to sign",
            },
        }
    ),
    "Mandate": record(
        {
            "id": TEXT,
            "principal": TEXT,
            "owner": TEXT,
            "application": TEXT,
            "agent": TEXT,
            "use_case": TEXT,
            "purpose": TEXT,
            "state": choice(*MANDATE_STATES),
            "because": TEXT,
            "calls_used": COUNT,
            "calls_max": COUNT,
            "budgets": mapping(record({"used": COUNT, "limit": COUNT})),
            "not_before": INSTANT,
            "expires_at": INSTANT,
            "sentences": TEXTS,
            "intent_hash": ANCHOR,
            "authority_hash": ANCHOR,
            "token": TEXT,
        }
    ),
    "Token": record({"token": {"type": "string", "description": "JWS, compact serialisation"}}),
    "SignedAnswer": record(
        {
            "token": {"type": "string", "description": "JWS, compact serialisation"},
            "typed": {
                "type": "string",
                "maxLength": TYPED_CHARS_MAX,
                "description": "to let it run: the approval's `name_to_type`, where it has one, as the person typed it",
            },
        },
        optional=("typed",),
    ),
    "Timeline": record(
        {
            "name": TEXT,
            "lines": sequence(
                record({"index": COUNT, "at": INSTANT, "kind": TEXT, "text": TEXT, "details": TEXTS})
            ),
        }
    ),
    "ActionUnder": record(
        {
            "index": COUNT,
            "at": INSTANT,
            "action": TEXT,
            "agent": TEXT,
            "instance": TEXT,
            "manifest": TEXT,
            "drifted": FLAG,
            "made_of": sequence(
                record(
                    {
                        "field": TEXT,
                        "says": TEXT,
                        "grade": choice("", "kernel", "sidecar", "gateway", "claimed"),
                        "standing": choice("measured", "claimed", "differs", "unwritten"),
                    }
                )
            ),
            "outcome": TEXT,
            "text": TEXT,
            "details": TEXTS,
        }
    ),
    "Ledger": record({"origin": TEXT, "entries": COUNT, "checkpoint": TEXT, "key": TEXT}),
    "Entry": record(
        {
            "index": COUNT,
            "tag": COUNT,
            "kind": TEXT,
            "leaf_hash": DIGEST,
            "leaf": {"type": "object"},
            "payload": nullable({"type": "object"}),
            "sentence": TEXT,
            "details": TEXTS,
        }
    ),
    "EvidenceRequest": record(
        {"entries": sequence(COUNT), "about": mapping(TEXT), "reveal": TEXTS, "replay": FLAG},
        optional=("about", "replay"),
    ),
    "Evidence": record(
        {
            "bundle": {"type": "string", "contentEncoding": "base64", "description": "an evidence bundle"},
            "origin": TEXT,
            "size": COUNT,
            "entries": sequence(COUNT),
            "shown": COUNT,
            "withheld": sequence(COUNT),
            "witnessed": FLAG,
        }
    ),
    "Replayed": record(
        {
            "counts": mapping(COUNT),
            "next": nullable(COUNT),
            "reading": FLAG,
            "size": COUNT,
            "told": sequence({"type": "object", "description": "a decision that is not as it was recorded"}),
        }
    ),
    "Possible": record(
        {
            "at": INSTANT,
            "registry": TEXT,
            "withheld": COUNT,
            "unfollowed": COUNT,
            "is_offered": FLAG,
            "agents": sequence({"type": "object", "description": "an agent, and what it could do"}),
        }
    ),
    "Nothing": record({}),
    "Checkpoint": record({"checkpoint": TEXT}),
    "Problem": {
        "type": "object",
        "description": "problem details (RFC 9457); `code` is stable",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": TEXT,
            "branch": choice("malformed", "unverified", "refused", "unavailable", "broken"),
            "step": TEXT,
            "reasons": TEXTS,
            "entry_index": nullable(COUNT),
            "port": TEXT,
            "effect": choice("none", "unknown"),
            "retry": FLAG,
        },
        "required": ["type", "title", "status", "detail", "code", "branch", "reasons", "effect", "retry"],
    },
}
