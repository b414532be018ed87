"""Registered documents: read, plan, apply, check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.control_api.call import instant, page_of
from answerable.core.canonical import parse
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.documents import Agent, MandateTemplate, Server
from answerable.core.registry.parsing.active import findings, inactive
from answerable.core.registry.parsing.parse import KINDS, document_key, shapes_of
from answerable.errors import shown
from answerable.errors.codes.registry import REGISTRY_UNKNOWN, TEMPLATE_UNKNOWN
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.walk.agent_standing import standing_of

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.ownership import Ownership
    from answerable.core.registry.documents.preview_mapping import PreviewMapping
    from answerable.core.registry.parsing.active import Inactive
    from answerable.core.registry.parsing.parse import Registered
    from answerable.flows.registry.apply_registry import Applied

_DATE_CHARS = len("2026-11-24")


async def list_documents(call: Call) -> Answer:
    """List every document, active or not."""
    kind = call.query.get("kind")
    if kind is not None and kind not in KINDS:
        raise REQUEST_QUERY(f"kind {shown(kind)} is not known: use one of {', '.join(KINDS)}")
    listed = [item for item in _registered(call) if kind in (None, item["kind"])]
    return page_of(
        call, listed, name=lambda item: f"{item['kind']}/{item['name']}", render=lambda item: dict(item)
    )


async def show_document(call: Call) -> Answer:
    """Return one document."""
    wanted = (call.path["kind"], call.path["name"])
    for item in _registered(call):
        if (item["kind"], item["name"]) == wanted:
            return item
    raise REGISTRY_UNKNOWN(f"there is no {shown(wanted[0])} called {shown(wanted[1])}")


async def plan_documents(call: Call) -> Answer:
    """Return what applying would change."""
    return await _apply(call, dry_run=True)


async def apply_documents(call: Call) -> Answer:
    """Put documents into force."""
    return await _apply(call, dry_run=False)


async def check_registry(call: Call) -> Answer:
    """Return what is missing (check REG-02) and what should be reviewed."""
    documents = _documents(call)
    today = instant(call.walk.clock.now())[:_DATE_CHARS]
    return {
        "inactive": [_inactive(one) for one in inactive(documents)],
        "findings": [
            {"kind": one.kind, "name": one.name, "code": one.code, "message": one.message}
            for one in findings(documents, today=today)
        ],
    }


async def list_agents(call: Call) -> Answer:
    """List every agent, active or not."""
    beside = call.product.beside()
    return page_of(
        call,
        _nouns(call, "Agent"),
        name=lambda pair: pair[0].name,
        render=lambda pair: _agent(call, pair, shares_account=pair[0].name in beside),
    )


async def list_servers(call: Call) -> Answer:
    """List every upstream server with its state."""
    states = call.product.server_states()

    def render(pair: tuple[Registered, list[JSONValue]]) -> JSONValue:
        found, standing = pair[0], _standing(pair)
        server = found.noun
        if not isinstance(server, Server):
            raise TypeError("expected a server")
        target = server.url or server.target or " ".join((server.command, *server.args))
        return {
            "name": server.name,
            "transport": "broker" if server.target else "http" if server.url else "stdio",
            "target": target,
            "state": states.get(server.name, "not started"),
            **standing,
        }

    return page_of(call, _nouns(call, "Server"), name=lambda pair: pair[0].name, render=render)


async def list_capabilities(call: Call) -> Answer:
    """List every capability, active or not."""
    return page_of(call, _nouns(call, "Capability"), name=lambda pair: pair[0].name, render=_capability)


async def list_templates(call: Call) -> Answer:
    """List every mandate template, active or not."""
    return page_of(call, _nouns(call, "MandateTemplate"), name=lambda pair: pair[0].name, render=_template)


async def show_template(call: Call) -> Answer:
    """Return one mandate template."""
    for pair in _nouns(call, "MandateTemplate"):
        if pair[0].name == call.path["name"]:
            return _template(pair)
    raise TEMPLATE_UNKNOWN(f"there is no mandate template {shown(call.path['name'])}")


async def _apply(call: Call, *, dry_run: bool) -> Answer:
    body = call.members("documents", "prune")
    documents = body.items("documents")
    applied = await apply_registry(
        call.walk, documents, by=call.by, dry_run=dry_run, prune=body.flag("prune")
    )
    return _applied(applied)


def _applied(applied: Applied) -> Answer:
    changes: list[JSONValue] = []
    for change in applied.changes:
        kind, _, name = change.key.partition("/")
        changes.append({"kind": kind, "name": name, "how": change.how})
    return {
        "changes": changes,
        "inactive": [_inactive(one) for one in applied.inactive],
        "before": applied.before,
        "after": applied.after,
        "void": [str(one.fault) for one in applied.void],
        "undrilled": [
            {
                "kind": one.what.kind,
                "name": one.what.name,
                "from": one.before,
                "to": one.after,
                "commands": [*one.commands()],
            }
            for one in applied.undrilled
        ],
    }


def _inactive(one: Inactive) -> JSONValue:
    return {"kind": one.kind, "name": one.name, "missing": list(one.missing), "reasons": list(one.reasons)}


def _documents(call: Call) -> list[JSONValue]:
    stored = call.walk.registry.documents()
    return [parse(stored[key]) for key in sorted(stored)]


def _registered(call: Call) -> list[Answer]:
    documents = _documents(call)
    down = {f"{one.kind}/{one.name}": one.reasons for one in inactive(documents)}
    listed: list[Answer] = []
    for document in documents:
        key = document_key(document)
        kind, _, name = key.partition("/")
        reasons = down.get(key, ())
        listed.append(
            {
                "kind": kind,
                "name": name,
                "active": not reasons,
                "reasons": list(reasons),
                "document": document,
            }
        )
    return listed


def _nouns(call: Call, kind: str) -> list[tuple[Registered, list[JSONValue]]]:
    documents = _documents(call)
    down = {(one.kind, one.name): one.reasons for one in inactive(documents)}
    return [
        (found, list(down.get((found.kind, found.name), ())))
        for found in shapes_of(documents).nouns
        if found.kind == kind
    ]


def _standing(pair: tuple[Registered, list[JSONValue]]) -> dict[str, JSONValue]:
    return {"active": not pair[1], "reasons": pair[1]}


def _ownership(ownership: Ownership) -> JSONValue:
    return {
        "owner": ownership.owner,
        "backup_owner": ownership.backup_owner,
        "approver_group": ownership.approver_group,
        "audit_level": ownership.audit_level,
        "review_date": ownership.review_date,
    }


def _agent(call: Call, pair: tuple[Registered, list[JSONValue]], *, shares_account: bool) -> JSONValue:
    agent = pair[0].noun
    if not isinstance(agent, Agent):
        raise TypeError("expected an agent")
    return {
        "name": agent.name,
        "use_case": agent.use_case,
        "environment": agent.environment,
        "status": agent.status,
        **_standing(pair),
        "keys": [key.thumbprint for key in agent.keys],
        "unix_uids": list(agent.unix_uids),
        "certificates": list(agent.certificates),
        "standing": standing_of(call.walk, pair[0].name)[0],
        "shares_account": shares_account,
        "ownership": _ownership(agent.ownership),
    }


def _capability(pair: tuple[Registered, list[JSONValue]]) -> JSONValue:
    capability = pair[0].noun
    if not isinstance(capability, Capability):
        raise TypeError("expected a capability")
    return {
        "name": capability.name,
        "title": capability.title,
        "server": capability.server,
        "method": capability.method,
        "target": capability.target,
        "kind": capability.kind,
        "environment": capability.environment,
        "tier": capability.tier,
        "unhinted_accepted": capability.unhinted_accepted,
        "sensitivity": capability.sensitivity,
        "preview": _preview(capability.preview),
        **_standing(pair),
        "ownership": _ownership(capability.ownership),
    }


def _preview(mapping: PreviewMapping | None) -> JSONValue:
    if mapping is None:
        return None
    arguments: JSONValue = None if mapping.arguments is None else {**dict(mapping.arguments)}
    return {"capability": mapping.capability, "arguments": arguments}


def _template(pair: tuple[Registered, list[JSONValue]]) -> Answer:
    template = pair[0].noun
    if not isinstance(template, MandateTemplate):
        raise TypeError("expected a mandate template")
    return {
        "name": template.name,
        "use_case": template.use_case,
        "agent": template.agent,
        "purpose": template.purpose,
        "environment": template.environment,
        "capabilities": [grant.capability for grant in template.grants],
        "parameters": [
            {"name": one.name, "pattern": one.pattern, "type": one.type, "title": one.title}
            for one in template.parameters
        ],
        "calls_max": template.calls_max,
        "budgets": {name: str(limit) for name, limit in template.budgets},
        "ttl_seconds": template.ttl_seconds,
        **_standing(pair),
    }
