"""Mandates: drafting from a template, issuing what a principal signed, reading, closing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import instant, page_of
from answerable.core.identity.principal import principal_id
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.preview import preview
from answerable.core.mandate.template import filled
from answerable.core.mandate.token import claims_of
from answerable.errors import Malformed, Refused, shown
from answerable.flows.close_mandate import close_mandate
from answerable.flows.issue_mandate import issue_mandate
from answerable.flows.refuse_revoked import mandate_names

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.mandate.mandate import Mandate

STATES: Final = ("open", "closed", "revoked", "expired", "not_yet", "spent")
PRINCIPAL_CHARS_MAX: Final = 63


async def draft_mandate(call: Call) -> Answer:
    """What a template gives with these values: unsigned, and nothing until its principal signs it."""
    name = call.path["name"]
    template = call.walk.registry.current.templates.get(name)
    if template is None:
        raise Refused(f"there is no active mandate template {shown(name)}", code="template.unknown")
    body = call.members("principal", "parameters")
    terms = filled(
        template,
        body.texts_by_name("parameters"),
        principal=principal_id(body.text("principal", chars_max=PRINCIPAL_CHARS_MAX)),
        id=MandateId(call.walk.entropy.token()),
        now=call.walk.clock.now(),
    )
    titles = _titles(call, terms_capabilities=tuple(grant.capability for grant in terms.grants))
    return {
        "audience": call.walk.ledger.origin,
        "claims": claims_of(terms, audience=call.walk.ledger.origin),
        "titles": dict(titles),
        "sentences": list(preview(terms, titles=titles)),
    }


async def register_mandate(call: Call) -> Answer:
    """Put a signed mandate into force."""
    return _mandate(call, await issue_mandate(call.walk, call.members("token").text("token")))


async def list_mandates(call: Call) -> Answer:
    """Newest first; with `state`, those that stand so now."""
    state = call.query.get("state")
    if state is not None and state not in STATES:
        raise Malformed(
            f"state {shown(state)} is not known: use one of {', '.join(STATES)}", code="request.query"
        )
    wanted = (one for one in call.walk.mandates.all() if state in (None, _state(call, one)))
    return page_of(call, wanted, name=lambda one: one.id, render=lambda one: _mandate(call, one))


async def show_mandate(call: Call) -> Answer:
    """One mandate."""
    mandate = call.walk.mandates.find(MandateId(call.path["id"]))
    if mandate is None:
        raise Refused(f"mandate {shown(call.path['id'])} is not known", code="mandate.unknown")
    return _mandate(call, mandate)


async def end_mandate(call: Call) -> Answer:
    """Close it: the next action under it is refused."""
    call.members()
    return _mandate(call, await close_mandate(call.walk, call.path["id"], by=call.by))


def _state(call: Call, mandate: Mandate) -> str:
    now = call.walk.clock.now()
    if call.walk.mandates.state(mandate.id) == "closed":
        return "closed"
    if call.walk.revocations.find(mandate_names(call.walk, mandate)) is not None:
        return "revoked"
    if now >= mandate.expires_at:
        return "expired"
    if now < mandate.not_before:
        return "not_yet"
    return "spent" if call.walk.mandates.calls_used(mandate.id) >= mandate.calls_max else "open"


def _mandate(call: Call, mandate: Mandate) -> Answer:
    titles = _titles(call, terms_capabilities=tuple(grant.capability for grant in mandate.grants))
    return {
        "id": mandate.id,
        "principal": mandate.principal,
        "agent": mandate.agent,
        "use_case": mandate.use_case,
        "purpose": mandate.purpose,
        "state": _state(call, mandate),
        "calls_used": call.walk.mandates.calls_used(mandate.id),
        "calls_max": mandate.calls_max,
        "not_before": instant(mandate.not_before),
        "expires_at": instant(mandate.expires_at),
        "sentences": list(preview(mandate, titles=titles)),
        "token": mandate.token,
    }


def _titles(call: Call, *, terms_capabilities: tuple[str, ...]) -> dict[str, str]:
    known = call.walk.registry.current.capabilities
    return {name: known[name].title for name in terms_capabilities if name in known and known[name].title}
