"""Group pages: pending approvals that are alike on one line, one group with its differing ones apart, and one answer to
the alike ones.

The page displays the whole list that is signed, and does not change while a person reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from answerable.apps.console import approval_pages
from answerable.apps.console.approval_pages import (
    ITEMS_MAX,
    ROUTED_MAX,
    STATES,
    hindrance,
    row_of,
    tier_now,
    verdict_in,
    whole,
)
from answerable.apps.console.ceremonies import request_options
from answerable.apps.console.desk import answer_json
from answerable.core.approval.approval_grouping import Group
from answerable.core.approval.assurance_level import tier_shown
from answerable.core.approval.batch import BATCH_ITEMS_MAX, batch_challenge
from answerable.core.approval.challenge import NONCE_BYTES
from answerable.core.approval.features import label_of, pointer_of
from answerable.core.approval.reasons import QUICK
from answerable.core.approval.words import words_of
from answerable.core.base64url import to_base64url
from answerable.core.identity.people.passkey import assertion_in, octets_in
from answerable.errors.codes.people import PASSKEY_UNKNOWN
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.approval.answer_many import answer_many_by_passkey, open_many
from answerable.flows.approval.notify_on_call import routes_of
from answerable.flows.approval.record_view import note_looks
from answerable.flows.validity.group_waiting import group_named, groups_waiting
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict
    from answerable.core.approval.words import Words
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Principal
    from answerable.flows.approval.notify_on_call import Route
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.ledger import Ledger
    from answerable.ports.registry_store import RegistryStore

ODD_SHOWN_MAX: Final = 100
"""Differing approvals on the page of a group; the others are in the ungrouped list."""
_NOTHING: Final = ("{}", "[]", '""')
_BESIDE: Final = ("/arguments", "/resource", "/destinations", "/amounts")


async def inbox(asked: Asked) -> Response:
    """List pending approvals with alike ones on one line, highest risk and earliest expiry first. Other states, or
    `all`, are listed one by one."""
    query = asked.request.query_params
    if query.get("state", "pending") != "pending" or "all" in query:
        return await approval_pages.approvals(asked)
    after = whole(query.get("after", "0"))
    walk, (_, person) = asked.walk, asked.who
    found = groups_waiting(walk.authority.approvals, walk.asking.under_way, walk.clock)
    lines: list[tuple[tuple[int, int], Group | Approval]] = [
        ((-tier_now(walk.authority.registry, group.first), group.ends), group) for group in found.groups
    ]
    lines += [((-tier_now(walk.authority.registry, one), one.expires_at), one) for one in found.alone]
    lines.sort(key=lambda line: line[0])
    every, routes = _own_turn_first(walk.authority, walk.asking, [one for _, one in lines], person)
    rows = [
        _line(walk.recorder.ledger, walk.authority, walk.asking, one, person, routes)
        for one in every[after : after + ITEMS_MAX]
    ]
    more = after + ITEMS_MAX if after + ITEMS_MAX < len(lines) else 0
    return asked.page(
        "approvals_part.html" if "part" in query else "approvals.html",
        rows=rows,
        state="pending",
        states=STATES,
        singly=False,
        count=len(found.alone) + sum(group.size for group in found.groups),
        lines=len(lines),
        after=after,
        more=more,
    )


async def group(asked: Asked) -> Response:
    """Show one group: the differing approvals first and apart, then the list that one signature may answer."""
    walk, (_, person) = asked.walk, asked.who
    found = group_named(
        walk.authority.approvals, walk.asking.under_way, walk.clock, asked.request.path_params["id"]
    )
    first = found.alike[0] if found.alike else found.odd[0].approval
    listed = found.alike[: min(BATCH_ITEMS_MAX, walk.limits.batch_items_max or BATCH_ITEMS_MAX)]
    why_not, may_deny = hindrance(walk.recorder.ledger, walk.authority, walk.asking, first, person)
    await note_looks(walk.asking, walk.clock, person.name, listed, lines=True)
    card = json.loads(first.card.bytes)
    return asked.page(
        "group.html",
        group=found,
        card=card,
        first=first,
        listed=listed,
        columns=[(one.label, _range(found, at, listed)) for at, one in enumerate(found.differs)],
        same=_same(found, card),
        odd=[
            (
                row_of(walk.recorder.ledger, walk.authority, walk.asking, one.approval, person, None),
                one.because,
            )
            for one in found.odd[:ODD_SHOWN_MAX]
        ],
        hindrance=why_not or _one_by_one(walk.authority.registry, walk.limits, found, first),
        may_deny=may_deny and bool(walk.limits.batch_items_max),
        reasons=QUICK,
        has_passkey=bool(desk_of(walk.asking.passkeys).register.of(person.name)),
    )


async def open_group(asked: Asked) -> Response:
    """Return what the device is to sign: the challenge over a fresh nonce, the displayed list and this verdict."""
    body = await asked.members(signed_in=True)
    _, person = asked.who
    verdict = verdict_in(body)
    desk = desk_of(asked.walk.asking.passkeys)
    own = desk.register.of(person.name)
    if not own:
        raise PASSKEY_UNKNOWN("you have no passkey yet: add one under Passkeys")
    words = _words(body, verdict)
    opened = open_many(
        asked.walk.recorder.ledger,
        asked.walk.authority,
        asked.walk.asking,
        asked.walk.entropy,
        _seen(body),
        verdict,
        to=person.name,
    )
    signed = batch_challenge(
        nonce=opened.nonce, root=opened.batch.root, size=opened.batch.size, verdict=verdict, words=words
    )
    return answer_json(
        {
            "nonce": to_base64url(opened.nonce),
            "options": request_options(desk, signed, own),
            "ends": opened.ends,
            "ids": [one.approval for one in opened.batch.items],
            "left_out": {**opened.left_out},
        }
    )


async def answer_group(asked: Asked) -> Response:
    """Record an answer to many approvals that a passkey signed."""
    body = await asked.members(signed_in=True)
    _, person = asked.who
    verdict, ids = verdict_in(body), body.get("ids")
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise REQUEST_BODY("`ids` is a list of approvals")
    after = await answer_many_by_passkey(
        asked.walk.recorder,
        asked.walk.authority,
        asked.walk.asking,
        asked.walk.counters,
        [str(one) for one in ids],
        person=person.name,
        verdict=verdict,
        words=_words(body, verdict),
        nonce=octets_in(body, "nonce", NONCE_BYTES),
        assertion=assertion_in(body.get("assertion")),
    )
    # The device has just verified the person.
    asked.has_shown()
    return answer_json({"answered": len(after.answered), "left_out": {**after.left_out}})


def _words(body: dict[str, JSONValue], verdict: Verdict) -> Words:
    comment, reason = body.get("comment", ""), body.get("reason", "")
    if not isinstance(comment, str) or not isinstance(reason, str):
        raise REQUEST_BODY("`comment` and `reason` are texts")
    return words_of(verdict, reason=reason, comment=comment.strip())


def _seen(body: dict[str, JSONValue]) -> dict[str, str]:
    seen = body.get("seen")
    if not isinstance(seen, dict) or not all(isinstance(one, str) for one in seen.values()):
        raise REQUEST_BODY("`seen` has the rendering hash of each approval by its id")
    return {name: str(one) for name, one in seen.items()}


def _one_by_one(registry: RegistryStore, limits: WalkLimits, found: Group, first: Approval) -> str:
    if not limits.batch_items_max:
        return "batch answers are turned off: answer each by itself"
    if max(tier_now(registry, first), tier_shown(first)) > limits.batch_tier_max:
        return "approvals of this tier are answered one by one"
    return found.not_together


def _own_turn_first(
    authority: AuthorityRegisters, asking: AskingState, every: list[Group | Approval], person: Principal
) -> tuple[list[Group | Approval], dict[str, Route]]:
    """Sort the lines so that, within one risk tier, those that this person is to answer come first. The first approval
    of a group decides whose turn the group is."""
    if not authority.registry.current.duties:
        return every, {}
    first = every[:ROUTED_MAX]
    routes = routes_of(authority, asking, [_first(one) for one in first])
    first.sort(
        key=lambda one: (
            -tier_now(authority.registry, _first(one)),
            person.name not in routes[_first(one).id].turn,
        )
    )
    return [*first, *every[ROUTED_MAX:]], routes


def _line(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    one: Group | Approval,
    person: Principal,
    routes: dict[str, Route],
) -> dict[str, Any]:
    first = _first(one)
    row = row_of(ledger, authority, asking, first, person, routes.get(first.id))
    if not isinstance(one, Group):
        return row
    return {
        **row,
        "group": one.id,
        "count": one.size,
        "odd": len(one.odd),
        "because": "; ".join(one.odd[0].because) if one.odd else "",
        "expires_at": one.ends,
    }


def _first(one: Group | Approval) -> Approval:
    return one.first if isinstance(one, Group) else one


def _same(found: Group, card: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of the action that are the same in all alike approvals, with their labels."""
    differs = {pointer_of(one.pointer) for one in found.differs}
    return [
        (label_of(where), text)
        for where, text in card.get("all", [])
        if where.startswith(_BESIDE) and where not in differs and text not in _NOTHING
    ]


def _range(found: Group, at: int, listed: tuple[Approval, ...]) -> str:
    """Return the range and sum of numbers, or else the count of distinct values."""
    texts = [found.cells(one.id)[at] for one in listed]
    if found.differs[at].reading == "number" and all(one.lstrip("-").isdigit() for one in texts):
        numbers = [int(one) for one in texts]
        return f"{min(numbers):,} to {max(numbers):,}, {sum(numbers):,} in all" if numbers else ""
    return f"{len(set(texts))} values"
