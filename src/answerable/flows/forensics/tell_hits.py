"""Write the hits of a search as every endpoint gives them out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from answerable.api.search_answers import SearchAnswer, SearchHit

if TYPE_CHECKING:
    from answerable.flows.forensics.search_ledger import Hit, HitPage


def answer_of(page: HitPage, *, durable: int = 0) -> SearchAnswer:
    """Return a page of hits as an answer. durable: entries of the log, where it may have more than the index."""
    return SearchAnswer(
        items=tuple(_hit(one) for one in page.hits),
        next=page.next,
        log=page.log,
        missing=max(0, durable - page.entries),
        entries=page.entries,
        complete_at=_instant(page.at) if page.entries else None,
        happened=page.happened,
    )


def _hit(hit: Hit) -> SearchHit:
    facts, ended = hit.facts, hit.ended
    return SearchHit(
        entry=facts.entry,
        at=_instant(facts.at),
        kind=hit.line.kind,
        text=hit.line.text,
        outcome=ended.outcome if ended is not None else facts.one("outcome"),
        ended=ended.entry if ended is not None else None,
        ended_at=_instant(ended.at) if ended is not None else None,
        action=facts.one("action"),
        agent=facts.one("agent"),
        instance=facts.one("instance"),
        person=dict(facts.people).get(facts.one("person"), facts.one("person")),
        mandate=facts.one("mandate"),
        use_case=facts.one("use-case"),
        capability=facts.one("capability"),
        server=facts.one("server"),
        target=facts.one("target"),
        resource=facts.sealed.get("resource", ("",))[0],
        destinations=facts.sealed.get("destination", ()),
        amount=facts.amount,
        rules=facts.names.get("rule", ()),
        code=facts.one("code"),
        approval=facts.one("approval"),
        lease=facts.one("lease"),
        hold=facts.one("hold") or facts.sealed.get("hold", ("",))[0],
        session=dict(ended.session) if ended is not None else {},
    )


def _instant(at: int) -> str:
    when = datetime.fromtimestamp(at / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
