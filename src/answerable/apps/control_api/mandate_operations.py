"""Mandates: draft from a template, issue a signed one, read, close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.api import mandate_answers as answers
from answerable.api.members import Nothing, Page, Token
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import choice
from answerable.core.identity.names.principal import PrincipalId, principal_id
from answerable.core.mandate.left_out import left_out
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.mission import authority_hash, intent_hash, terms_nonce
from answerable.core.mandate.preview import preview
from answerable.core.mandate.scheduled import scheduled_terms
from answerable.core.mandate.template import filled
from answerable.core.mandate.token import audience_of, claims_of
from answerable.core.registry.documents.time_rule import due, said
from answerable.errors import Malformed, shown
from answerable.errors.codes.mandate import (
    MANDATE_APPLICATION,
    MANDATE_NOT_DUE,
    MANDATE_SCHEDULE,
    MANDATE_UNKNOWN,
)
from answerable.errors.codes.registry import TEMPLATE_UNKNOWN
from answerable.errors.codes.services import REQUEST_QUERY
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.flows.tokens.trace_mandate import MANDATE_STATES, mandate_state, mandates_in
from answerable.flows.validity.mandate_validity import known_session, schedule_owner, shard_elsewhere

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate, MandateTerms

PRINCIPAL_CHARS_MAX: Final = 63

_MANDATE_STATE: Final = (("state", choice(*MANDATE_STATES), "only mandates that stand so now"),)


@operation(
    "POST",
    "/v1/templates/{name}/draft",
    id="draft_mandate",
    summary="The mandate a template gives with these values, for its principal to read and to sign",
    answer=answers.Draft,
    body=answers.DraftRequest,
)
async def draft_mandate(call: Call) -> answers.Draft:
    """Return the mandate that a template gives with these values. It is unsigned and has no effect until its principal
    signs it.

    With `application`, that application signs: the principal's ID token must then carry `nonce`.
    """
    name = call.path["name"]
    template = call.walk.authority.registry.current.templates.get(name)
    if template is None:
        raise TEMPLATE_UNKNOWN(f"there is no active mandate template {shown(name)}")
    body = call.members("principal", "parameters", "application")
    application = body.text("application", chars_max=PRINCIPAL_CHARS_MAX) if body.has("application") else ""
    if application and application not in call.walk.authority.registry.current.applications:
        raise MANDATE_APPLICATION(f"there is no active application {shown(application)}")
    terms = filled(
        template,
        body.texts_by_name("parameters"),
        principal=principal_id(body.text("principal", chars_max=PRINCIPAL_CHARS_MAX)),
        id=MandateId(call.walk.entropy.token()),
        now=call.walk.clock.now(),
        application=application,
    )
    return _draft(call, terms)


@operation(
    "POST",
    "/v1/schedules/{name}/draft",
    id="draft_scheduled",
    summary="The mandate that a schedule gives now, for its scheduler to sign",
    answer=answers.Draft,
    body=Nothing,
)
async def draft_scheduled(call: Call) -> answers.Draft:
    """Return the mandate that a schedule gives for the time at which it is due now, for its scheduler to sign."""
    call.members()
    current, name = call.walk.authority.registry.current, call.path["name"]
    schedule = current.schedules.get(name)
    if schedule is None:
        raise MANDATE_SCHEDULE(f"there is no active schedule {shown(name)}")
    start = due(schedule.rule, call.walk.clock.now())
    if start is None:
        raise MANDATE_NOT_DUE(f"schedule {shown(name)} is not due now: it is {said(schedule.rule)}")
    return _draft(call, scheduled_terms(schedule, current.templates[schedule.template], start=start))


def _draft(call: Call, terms: MandateTerms) -> answers.Draft:
    audience = call.walk.recorder.ledger.origin
    current = call.walk.authority.registry.current
    giver = PrincipalId(schedule_owner(terms.principal, current) or terms.principal)
    beside = left_out(terms, current.capabilities, giver=current.principals.get(giver))
    titles = _titles(call, (*(grant.capability for grant in terms.grants), *beside.capabilities))
    return answers.Draft(
        audience=audience,
        claims=claims_of(terms, audience=audience),
        titles=dict(titles),
        beside=answers.LeftOut(
            capabilities=tuple(beside.capabilities),
            environments=tuple(beside.environments),
            beyond=tuple(beside.beyond),
        ),
        sentences=tuple(preview(terms, titles=titles, beside=beside)),
        intent_hash=intent_hash(terms, audience=audience),
        authority_hash=authority_hash(terms, audience=audience),
        nonce=terms_nonce(terms, audience=audience),
    )


@operation(
    "POST",
    "/v1/mandates",
    id="issue_mandate",
    summary="Put a signed mandate into force",
    answer=answers.Mandate,
    body=Token,
)
async def register_mandate(call: Call) -> answers.Mandate:
    """Put a signed mandate into force."""
    return _mandate(
        call,
        await issue_mandate(
            call.walk.recorder, call.walk.authority, call.walk.asking, call.members("token").text("token")
        ),
    )


@operation(
    "GET",
    "/v1/mandates",
    id="list_mandates",
    summary="Mandates, newest first",
    answer=Page[answers.Mandate],
    query=_MANDATE_STATE,
)
async def list_mandates(call: Call) -> Page[answers.Mandate]:
    """List mandates, newest first; with `state`, those in this state now."""
    state = call.query.get("state")
    if state is not None and state not in MANDATE_STATES:
        raise REQUEST_QUERY(f"state {shown(state)} is not known: use one of {', '.join(MANDATE_STATES)}")
    wanted = (
        call.walk.authority.mandates.all() if state is None else await mandates_in(call.walk.authority, state)
    )
    return page_of(call, wanted, name=lambda one: one.id, render=lambda one: _mandate(call, one))


@operation(
    "GET",
    "/v1/mandates/{id}",
    id="show_mandate",
    summary="One mandate",
    answer=answers.Mandate,
)
async def show_mandate(call: Call) -> answers.Mandate:
    """Return one mandate."""
    mandate = call.walk.authority.mandates.find(MandateId(call.path["id"]))
    if mandate is None:
        raise MANDATE_UNKNOWN(f"mandate {shown(call.path['id'])} is not known")
    return _mandate(call, mandate)


@operation(
    "POST",
    "/v1/mandates/{id}/close",
    id="close_mandate",
    summary="Close a mandate: the next action under it is refused",
    answer=answers.Mandate,
    body=Nothing,
)
async def end_mandate(call: Call) -> answers.Mandate:
    """Close a mandate: the next action under it is refused."""
    call.members()
    return _mandate(
        call,
        await close_mandate(
            call.walk.recorder, call.walk.authority, call.walk.live, call.path["id"], by=call.by
        ),
    )


def _mandate(call: Call, mandate: Mandate) -> answers.Mandate:
    titles = _titles(call, tuple(grant.capability for grant in mandate.grants))
    state, because = mandate_state(call.walk.authority, mandate)
    audience = audience_of(mandate.token)
    return answers.Mandate(
        id=mandate.id,
        principal=mandate.principal,
        owner=schedule_owner(mandate.principal, call.walk.authority.registry.current),
        application=mandate.application,
        agent=mandate.agent,
        use_case=mandate.use_case,
        purpose=mandate.purpose,
        state=state,
        because=because,
        counted_in=shard_elsewhere(mandate, call.walk.recorder.ledger.origin) or "",
        calls_used=call.walk.authority.mandates.calls_used(mandate.id),
        calls_max=mandate.calls_max,
        budgets=_budgets(call, mandate),
        not_before=instant(mandate.not_before),
        expires_at=instant(mandate.expires_at),
        sentences=tuple(preview(mandate, titles=titles, session=_session(call, mandate))),
        intent_hash=intent_hash(mandate, audience=audience),
        authority_hash=authority_hash(mandate, audience=audience),
        token=mandate.token,
    )


def _session(call: Call, mandate: Mandate) -> tuple[Authority, ...]:
    """Return the authorities of the mandate's login session; empty if they cannot be read, in which case every action
    is refused."""
    try:
        return known_session(call.walk.authority.sessions, mandate)
    except Malformed:
        return ()


def _budgets(call: Call, mandate: Mandate) -> dict[str, answers.BudgetUse]:
    """Return the budgets other than calls, with the use that this process has counted."""
    used = call.walk.authority.mandates.used(mandate.id)
    return {name: answers.BudgetUse(used=used.get(name, 0), limit=limit) for name, limit in mandate.budgets}


def _titles(call: Call, names: tuple[str, ...]) -> dict[str, str]:
    known = call.walk.authority.registry.current.capabilities
    return {name: known[name].title for name in names if name in known and known[name].title}


OPERATIONS: Final[tuple[Operation, ...]] = (
    draft_mandate,
    draft_scheduled,
    list_mandates,
    register_mandate,
    show_mandate,
    end_mandate,
)
