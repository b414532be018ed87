"""Registered documents: read, plan, apply, check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, cast

from answerable.api import registry_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import choice
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
    from answerable.api.members import AnyObject
    from answerable.apps.control_api.call import Call
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.ownership import Ownership
    from answerable.core.registry.documents.preview_mapping import PreviewMapping
    from answerable.core.registry.parsing.active import Inactive
    from answerable.core.registry.parsing.parse import Registered
    from answerable.flows.registry.record_change import Applied

    _Noun: TypeAlias = tuple[Registered, tuple[str, ...]]
    """What a document declares, with the reasons why it is not active."""

_DATE_CHARS = len("2026-11-24")

_KIND: Final = (("kind", choice(*KINDS), "only documents of this kind"),)


@operation(
    "GET",
    "/v1/registry",
    id="list_documents",
    summary="Registered documents, active or not",
    answer=Page[answers.Registered],
    query=_KIND,
)
async def list_documents(call: Call) -> Page[answers.Registered]:
    """List every document, active or not."""
    kind = call.query.get("kind")
    if kind is not None and kind not in KINDS:
        raise REQUEST_QUERY(f"kind {shown(kind)} is not known: use one of {', '.join(KINDS)}")
    listed = [item for item in _registered(call) if kind in (None, item.kind)]
    return page_of(call, listed, name=lambda item: f"{item.kind}/{item.name}", render=lambda item: item)


@operation(
    "GET",
    "/v1/registry/{kind}/{name}",
    id="show_document",
    summary="One registered document",
    answer=answers.Registered,
)
async def show_document(call: Call) -> answers.Registered:
    """Return one document."""
    wanted = (call.path["kind"], call.path["name"])
    for item in _registered(call):
        if (item.kind, item.name) == wanted:
            return item
    raise REGISTRY_UNKNOWN(f"there is no {shown(wanted[0])} called {shown(wanted[1])}")


@operation(
    "POST",
    "/v1/registry/plan",
    id="plan_documents",
    summary="What applying documents would change; changes nothing",
    answer=answers.Applied,
    body=answers.Documents,
)
async def plan_documents(call: Call) -> answers.Applied:
    """Return what applying would change."""
    return await _apply(call, dry_run=True)


@operation(
    "POST",
    "/v1/registry/apply",
    id="apply_documents",
    summary="Put documents into force, all or none",
    answer=answers.Applied,
    body=answers.Documents,
)
async def apply_documents(call: Call) -> answers.Applied:
    """Put documents into force."""
    return await _apply(call, dry_run=False)


@operation(
    "GET",
    "/v1/registry/check",
    id="check_registry",
    summary="What is missing before things become active, and what should be looked at",
    answer=answers.RegistryCheck,
)
async def check_registry(call: Call) -> answers.RegistryCheck:
    """Return what is missing (check REG-02) and what should be reviewed."""
    documents = _documents(call)
    today = instant(call.walk.clock.now())[:_DATE_CHARS]
    return answers.RegistryCheck(
        inactive=tuple(_inactive(one) for one in inactive(documents)),
        findings=tuple(
            answers.Finding(kind=one.kind, name=one.name, code=one.code, message=one.message)
            for one in findings(documents, today=today)
        ),
    )


@operation(
    "GET",
    "/v1/agents",
    id="list_agents",
    summary="Registered agents, active or not",
    answer=Page[answers.Agent],
)
async def list_agents(call: Call) -> Page[answers.Agent]:
    """List every agent, active or not."""
    beside = call.product.beside()
    return page_of(
        call,
        _nouns(call, "Agent"),
        name=lambda pair: pair[0].name,
        render=lambda pair: _agent(call, pair, shares_account=pair[0].name in beside),
    )


@operation(
    "GET",
    "/v1/servers",
    id="list_servers",
    summary="Upstream servers and how they are",
    answer=Page[answers.Server],
)
async def list_servers(call: Call) -> Page[answers.Server]:
    """List every upstream server with its state."""
    states = call.product.server_states()

    def render(pair: _Noun) -> answers.Server:
        server, reasons = pair[0].noun, pair[1]
        if not isinstance(server, Server):
            raise TypeError("expected a server")
        target = server.url or server.target or " ".join((server.command, *server.args))
        return answers.Server(
            name=server.name,
            transport="broker" if server.target else "http" if server.url else "stdio",
            target=target,
            state=states.get(server.name, "not started"),
            active=not reasons,
            reasons=reasons,
        )

    return page_of(call, _nouns(call, "Server"), name=lambda pair: pair[0].name, render=render)


@operation(
    "GET",
    "/v1/capabilities",
    id="list_capabilities",
    summary="Registered capabilities, active or not",
    answer=Page[answers.Capability],
)
async def list_capabilities(call: Call) -> Page[answers.Capability]:
    """List every capability, active or not."""
    return page_of(call, _nouns(call, "Capability"), name=lambda pair: pair[0].name, render=_capability)


@operation(
    "GET",
    "/v1/templates",
    id="list_templates",
    summary="Mandate templates, active or not",
    answer=Page[answers.Template],
)
async def list_templates(call: Call) -> Page[answers.Template]:
    """List every mandate template, active or not."""
    return page_of(call, _nouns(call, "MandateTemplate"), name=lambda pair: pair[0].name, render=_template)


@operation(
    "GET",
    "/v1/templates/{name}",
    id="show_template",
    summary="One mandate template",
    answer=answers.Template,
)
async def show_template(call: Call) -> answers.Template:
    """Return one mandate template."""
    for pair in _nouns(call, "MandateTemplate"):
        if pair[0].name == call.path["name"]:
            return _template(pair)
    raise TEMPLATE_UNKNOWN(f"there is no mandate template {shown(call.path['name'])}")


async def _apply(call: Call, *, dry_run: bool) -> answers.Applied:
    body = call.members("documents", "prune")
    documents = body.items("documents")
    applied = await apply_registry(
        call.walk.recorder,
        call.walk.authority,
        call.walk.asking,
        call.walk.applying,
        documents,
        by=call.by,
        dry_run=dry_run,
        prune=body.flag("prune"),
    )
    return _applied(applied)


def _applied(applied: Applied) -> answers.Applied:
    changes: list[answers.DocumentChange] = []
    for change in applied.changes:
        kind, _, name = change.key.partition("/")
        changes.append(answers.DocumentChange(kind=kind, name=name, how=change.how))
    return answers.Applied(
        changes=tuple(changes),
        inactive=tuple(_inactive(one) for one in applied.inactive),
        before=applied.before,
        after=applied.after,
        void=tuple(str(one.fault) for one in applied.void),
        undrilled=tuple(
            answers.UndrilledTier(
                kind=one.what.kind,
                name=one.what.name,
                from_=one.before,
                to=one.after,
                commands=tuple(one.commands()),
            )
            for one in applied.undrilled
        ),
    )


def _inactive(one: Inactive) -> answers.InactiveDocument:
    return answers.InactiveDocument(
        kind=one.kind, name=one.name, missing=tuple(one.missing), reasons=tuple(one.reasons)
    )


def _documents(call: Call) -> list[JSONValue]:
    stored = call.walk.authority.registry.documents()
    return [parse(stored[key]) for key in sorted(stored)]


def _registered(call: Call) -> list[answers.Registered]:
    documents = _documents(call)
    down = {f"{one.kind}/{one.name}": one.reasons for one in inactive(documents)}
    listed: list[answers.Registered] = []
    for document in documents:
        key = document_key(document)
        kind, _, name = key.partition("/")
        reasons = down.get(key, ())
        listed.append(
            answers.Registered(
                kind=kind,
                name=name,
                active=not reasons,
                reasons=tuple(reasons),
                document=cast("AnyObject", document),
            )
        )
    return listed


def _nouns(call: Call, kind: str) -> list[_Noun]:
    documents = _documents(call)
    down = {(one.kind, one.name): one.reasons for one in inactive(documents)}
    return [
        (found, tuple(down.get((found.kind, found.name), ())))
        for found in shapes_of(documents).nouns
        if found.kind == kind
    ]


def _ownership(ownership: Ownership) -> answers.OwnershipRow:
    return answers.OwnershipRow(
        owner=ownership.owner,
        backup_owner=ownership.backup_owner,
        approver_group=ownership.approver_group,
        audit_level=ownership.audit_level,
        review_date=ownership.review_date,
    )


def _agent(call: Call, pair: _Noun, *, shares_account: bool) -> answers.Agent:
    agent = pair[0].noun
    if not isinstance(agent, Agent):
        raise TypeError("expected an agent")
    return answers.Agent(
        name=agent.name,
        use_case=agent.use_case,
        environment=agent.environment,
        status=agent.status,
        active=not pair[1],
        reasons=pair[1],
        keys=tuple(key.thumbprint for key in agent.keys),
        unix_uids=tuple(agent.unix_uids),
        certificates=tuple(agent.certificates),
        standing=standing_of(call.walk.authority, pair[0].name)[0],
        shares_account=shares_account,
        ownership=_ownership(agent.ownership),
    )


def _capability(pair: _Noun) -> answers.Capability:
    capability = pair[0].noun
    if not isinstance(capability, Capability):
        raise TypeError("expected a capability")
    return answers.Capability(
        name=capability.name,
        title=capability.title,
        server=capability.server,
        method=capability.method,
        target=capability.target,
        kind=capability.kind,
        environment=capability.environment,
        tier=capability.tier,
        unhinted_accepted=capability.unhinted_accepted,
        sensitivity=capability.sensitivity,
        preview=_preview(capability.preview),
        active=not pair[1],
        reasons=pair[1],
        ownership=_ownership(capability.ownership),
    )


def _preview(mapping: PreviewMapping | None) -> answers.PreviewRow | None:
    if mapping is None:
        return None
    arguments = None if mapping.arguments is None else dict(mapping.arguments)
    return answers.PreviewRow(capability=mapping.capability, arguments=arguments)


def _template(pair: _Noun) -> answers.Template:
    template = pair[0].noun
    if not isinstance(template, MandateTemplate):
        raise TypeError("expected a mandate template")
    return answers.Template(
        name=template.name,
        use_case=template.use_case,
        agent=template.agent,
        purpose=template.purpose,
        environment=template.environment,
        capabilities=tuple(grant.capability for grant in template.grants),
        parameters=tuple(
            answers.TemplateParameter(name=one.name, pattern=one.pattern, type=one.type, title=one.title)
            for one in template.parameters
        ),
        calls_max=template.calls_max,
        budgets={name: str(limit) for name, limit in template.budgets},
        ttl_seconds=template.ttl_seconds,
        active=not pair[1],
        reasons=pair[1],
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    list_documents,
    check_registry,
    plan_documents,
    apply_documents,
    show_document,
    list_agents,
    list_servers,
    list_capabilities,
    list_templates,
    show_template,
)
