"""Approval pages: the list, the card of one action, and the answer that a passkey signs.

The card is drawn only from the data frozen when approval was requested. The agent's own words are shown beside it,
marked as such, and no signature covers them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.responses import Response

from answerable.apps.console.ceremonies import request_options
from answerable.apps.console.desk import answer_json
from answerable.apps.console.review_pages import review_shown
from answerable.core.approval.approval import NOTHING_SHOWN, ApprovalId
from answerable.core.approval.challenge import NONCE_BYTES, challenge
from answerable.core.approval.chat_click import is_click
from answerable.core.approval.credentials import text_without_credentials
from answerable.core.approval.emergency_access import GLASS, REASON_CHARS_MIN, may_break
from answerable.core.approval.reasons import NARROWER, QUICK, denial_reason
from answerable.core.approval.words import words_of
from answerable.core.base64url import to_base64url
from answerable.core.canonical import encode
from answerable.core.decision.facts import OR
from answerable.core.identity.people.passkey import assertion_in, octets_in
from answerable.errors import shown
from answerable.errors.codes.approval import APPROVAL_RENDERING
from answerable.errors.codes.people import PASSKEY_UNKNOWN
from answerable.errors.codes.services import CONSOLE_GONE, REQUEST_BODY, REQUEST_QUERY
from answerable.flows.approval.answer_approval import answer_by_passkey
from answerable.flows.approval.notify_on_call import route_of, routes_of
from answerable.flows.approval.open_approval import approval_here, open_to_answer
from answerable.flows.approval.record_view import note_looks
from answerable.flows.approval.typed_names import check_typed, name_wanted
from answerable.flows.escalation.propose_narrower import asked_as_proposed, narrowable_of, proposed_action
from answerable.flows.escalation.route_approval import note_view
from answerable.flows.validity.deputy_validity import agent_owners, in_place_of
from answerable.flows.validity.mandate_validity import schedule_owner
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from answerable.apps.console.desk import Asked
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.approval.notify_on_call import Route
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

ITEMS_MAX: Final = 50
"""Approvals per page; `after` is the number to skip."""
ROUTED_MAX: Final = 300
"""Pending approvals whose routing is computed: those with the highest risk and the earliest expiry."""
CRITICAL: Final = 3
STATES: Final = ("pending", "approved", "used", "denied", "expired", "void")


async def approvals(asked: Asked) -> Response:
    """List pending approvals, highest risk and earliest expiry first; with `state`, those in another state."""
    query = asked.request.query_params
    state = query.get("state", "pending")
    if state not in STATES:
        raise REQUEST_QUERY(f"state {shown(state, 40)} is none of {', '.join(STATES)}")
    after = whole(query.get("after", "0"))
    walk, (_, person) = asked.walk, asked.who
    now = walk.clock.now()
    every = [
        one
        for one in walk.authority.approvals.all(pending_only=state == "pending", now=now)
        if one.state_at(now) == state
    ]
    if state == "pending":
        every.sort(key=lambda one: (-tier_now(walk.authority.registry, one), one.expires_at))
    every, routes = _own_turn_first(walk.authority, walk.asking, every, person, state)
    rows = [
        row_of(walk.recorder.ledger, walk.authority, walk.asking, one, person, routes.get(one.id))
        for one in every[after : after + ITEMS_MAX]
    ]
    more = after + ITEMS_MAX if after + ITEMS_MAX < len(every) else 0
    template = "approvals_part.html" if "part" in query else "approvals.html"
    return asked.page(
        template,
        rows=rows,
        state=state,
        states=STATES,
        count=len(every),
        lines=len(every),
        singly="all" in query,
        after=after,
        more=more,
    )


async def approval(asked: Asked) -> Response:
    """Show the card of one approval. With `part`, only its outcome, and an empty 204 while nothing has changed since
    the page was loaded."""
    walk, (_, person) = asked.walk, asked.who
    found = _found(walk.authority.approvals, asked.request.path_params["id"])
    state = found.state_at(walk.clock.now())
    query = asked.request.query_params
    known = (query.get("answers"), query.get("state", "pending")) == (str(len(found.answers)), state)
    # The person may be typing on the page: replace nothing until there is something new.
    if "part" in query and known and (state == "pending" or found.review is None):
        return Response(status_code=204)
    why_not, may_deny = hindrance(walk.recorder.ledger, walk.authority, walk.asking, found, person)
    await note_looks(walk.asking, walk.clock, person.name, [found])
    if "part" not in query:
        await note_view(walk.authority, walk.asking, found, person.name)
    return asked.page(
        "approval_part.html" if "part" in query else "approval.html",
        approval=found,
        state=state,
        card=json.loads(found.card.bytes),
        claimed=text_without_credentials(found.claimed),
        hindrance=why_not,
        may_deny=may_deny,
        may_break=can_break(walk.authority, walk.limits, found, person),
        reason_chars_min=REASON_CHARS_MIN,
        review=review_shown(walk.authority, walk.limits, found, person),
        must_type=name_wanted(walk.authority.registry, found),
        route=route_of(walk.authority, walk.asking, found)
        if state == "pending" and walk.authority.registry.current.duties
        else None,
        reasons=QUICK,
        label=lambda code: denial_reason(code).label,
        is_click=lambda answer: is_click(answer.token),
        narrowable=narrowable_of(walk.authority.registry, found) if state == "pending" else (),
        followed=asked_as_proposed(walk.authority.approvals, walk.clock, found),
        has_passkey=bool(desk_of(walk.asking.passkeys).register.of(person.name)),
    )


async def open_one(asked: Asked) -> Response:
    """Return what the device is to sign: the challenge over a fresh nonce, the displayed card, this verdict and these
    words. An answer with other words does not verify."""
    body = await asked.members(signed_in=True)
    session, person = asked.who
    verdict = verdict_in(body)
    found = approval_here(
        asked.walk.recorder.ledger, asked.walk.authority, ApprovalId(asked.request.path_params["id"])
    )
    # A wrong typed name is refused before the device signs anything.
    check_typed(
        asked.walk.authority.registry,
        asked.walk.asking.under_way,
        found,
        person=person.name,
        verdict=verdict,
        typed=_typed(body),
        now=asked.walk.clock.now(),
        session=session.name,
    )
    nonce, found, ends = open_to_answer(
        asked.walk.recorder.ledger,
        asked.walk.authority,
        asked.walk.asking.openings,
        asked.walk.entropy,
        asked.request.path_params["id"],
        to=person.name,
    )
    if body.get("rendering") != found.card.hex:
        raise APPROVAL_RENDERING("the card has changed since you opened it: reload the page")
    words = _words(asked.walk.authority.registry, found, body, verdict)
    if words.narrower:
        # A proposal that is not narrower is refused before the person signs.
        proposed_action(asked.walk.authority.registry, found, words.narrower)
    desk = desk_of(asked.walk.asking.passkeys)
    own = desk.register.of(person.name)
    if not own:
        raise PASSKEY_UNKNOWN("you have no passkey yet: add one under Passkeys")
    signed = challenge(
        nonce=nonce, action=found.shown.digest, rendering=found.card.digest, verdict=verdict, words=words
    )
    return answer_json(
        {"nonce": to_base64url(nonce), "options": request_options(desk, signed, own), "ends": ends}
    )


async def answer(asked: Asked) -> Response:
    """Record an answer that a passkey signed."""
    body = await asked.members(signed_in=True)
    session, person = asked.who
    verdict = verdict_in(body)
    found = _found(asked.walk.authority.approvals, asked.request.path_params["id"])
    words = _words(asked.walk.authority.registry, found, body, verdict)
    after = await answer_by_passkey(
        asked.walk.recorder,
        asked.walk.authority,
        asked.walk.asking,
        asked.walk.counters,
        asked.request.path_params["id"],
        person=person.name,
        verdict=verdict,
        reason=words.reason,
        comment=words.comment,
        narrower=words.narrower,
        typed=_typed(body),
        session=session.name,
        nonce=octets_in(body, "nonce", NONCE_BYTES),
        assertion=assertion_in(body.get("assertion")),
    )
    # The device has just verified the person.
    asked.has_shown()
    return answer_json({"state": after.state})


def hindrance(
    ledger: Ledger, authority: AuthorityRegisters, asking: AskingState, found: Approval, person: Principal
) -> tuple[str, bool]:
    """Return why this person's approval would not count, as text, empty if it may; and whether their denial would. The
    flow decides; this only avoids useless attempts."""
    if found.shown == NOTHING_SHOWN:
        return "it was created before approvals had cards and cannot be answered", False
    if any(one.by == person.name for one in found.answers):
        return "you have answered it", False
    asked = {group for one in found.requirements for group in one.groups}
    place = in_place_of(
        ledger, authority, asking, found, person.name, verdict="approve", now=authority.clock.now()
    )
    if not asked & set(person.groups) and place is None:
        return f"it asks {', '.join(sorted(asked))}, and you are in none of them", False
    if person.name in (found.principal, schedule_owner(found.principal, authority.registry.current)):
        return "you gave this task yourself: somebody else must approve it", True
    if person.name in agent_owners(authority, asking.limits, found):
        return "you answer for an agent that this comes from: somebody else must approve it", True
    return "", True


def can_break(authority: AuthorityRegisters, limits: WalkLimits, found: Approval, person: Principal) -> bool:
    """Whether this person could run the action by break-glass, as far as the page can tell."""
    asked = may_break(found)
    own = {found.principal, schedule_owner(found.principal, authority.registry.current)}
    return (
        bool(asked)
        and all(set(one.split(OR)) & set(person.groups) for one in asked)
        and person.name not in own | agent_owners(authority, limits, found)
    )


def _own_turn_first(
    authority: AuthorityRegisters, asking: AskingState, every: list[Approval], person: Principal, state: str
) -> tuple[list[Approval], dict[str, Route]]:
    """Sort pending approvals so that, within one risk tier, those that this person is to answer come first; also return
    their routes. Without any duty it is everyone's turn, and no routes are computed."""
    if state != "pending" or not authority.registry.current.duties:
        return every, {}
    first = every[:ROUTED_MAX]
    routes = routes_of(authority, asking, first)
    first.sort(key=lambda one: (-tier_now(authority.registry, one), person.name not in routes[one.id].turn))
    return [*first, *every[ROUTED_MAX:]], routes


def row_of(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    one: Approval,
    person: Principal,
    route: Route | None,
) -> dict[str, Any]:
    """Return one row of a list. route: whose turn it is; None if no group has a duty."""
    card = json.loads(one.card.bytes)
    return {
        "id": one.id,
        "sentence": card.get("sentence", "an action without a card, of an earlier version"),
        "badges": card.get("badges", []),
        "agent": one.agent,
        "principal": one.principal,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "asks": _asks(one),
        "answers": len(one.answers),
        "mine": not hindrance(ledger, authority, asking, one, person)[0]
        or can_break(authority, asking.limits, one, person),
        "turn": route is None or person.name in route.turn,
        "next_at": route.next_at if route is not None else None,
        "quiet": route is not None and not route.turn,
    }


def _asks(one: Approval) -> str:
    return " and ".join(f"{wanted.count} of {' or '.join(wanted.groups)}" for wanted in one.requirements)


def tier_now(registry: RegistryStore, one: Approval) -> int:
    """Return the capability's present tier; the highest if the capability is no longer registered."""
    capability = registry.current.capabilities.get(one.capability)
    return capability.tier if capability is not None else CRITICAL


def _found(approvals: ApprovalRegister, name: str) -> Approval:
    found = approvals.find(ApprovalId(name))
    if found is None:
        raise CONSOLE_GONE(f"there is no approval {shown(name)}")
    return found


def verdict_in(body: dict[str, JSONValue]) -> Verdict:
    """Return the verdict in a body. Raises Malformed (`request.body`)."""
    verdict = body.get("verdict")
    if verdict not in ("approve", "deny", GLASS):
        raise REQUEST_BODY(f"`verdict` is `approve`, `deny` or `{GLASS}`")
    return cast("Verdict", verdict)


def _typed(body: dict[str, JSONValue]) -> str:
    """Return the name that the person typed. Raises Malformed (`request.body`)."""
    typed = body.get("typed", "")
    if not isinstance(typed, str):
        raise REQUEST_BODY("`typed` is a text")
    return typed


def _words(registry: RegistryStore, found: Approval, body: dict[str, JSONValue], verdict: Verdict) -> Words:
    """Return the words that go with a verdict. `narrower` has, by argument, the new number or the indexes of the list
    items that stay. The same body always gives the same words."""
    comment, reason, narrower = body.get("comment", ""), body.get("reason", ""), body.get("narrower", {})
    if not isinstance(comment, str) or not isinstance(reason, str) or not isinstance(narrower, dict):
        raise REQUEST_BODY("`comment` and `reason` are texts, `narrower` is an object")
    proposed = ""
    if reason == NARROWER:
        values = {one.name: one.value for one in narrowable_of(registry, found)}
        changes = {name: _kept(values.get(name), value) for name, value in narrower.items()}
        proposed = encode(changes).decode()
    return words_of(verdict, reason=reason, comment=comment.strip(), narrower=proposed)


def _kept(was: int | tuple[str, ...] | None, value: JSONValue) -> JSONValue:
    """Return the list items at these indexes; return any other value unchanged, for the flow to judge."""
    if not isinstance(was, tuple) or not isinstance(value, list):
        return value
    if not all(type(one) is int and 0 <= one < len(was) for one in value):
        raise REQUEST_BODY("`narrower` has indexes that the list does not have")
    return [was[cast("int", one)] for one in value]


def whole(text: str) -> int:
    """Return a whole number from a query. Raises Malformed (`request.query`)."""
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise REQUEST_QUERY("`after` is a whole number")
    return int(text)
