"""A bench on which refunds are looked up before people are asked, and what its cards say of it."""

from __future__ import annotations

from typing import Any

from answerable.core.action.outcome import Outcome
from answerable.core.approval.card import is_card_of
from answerable.core.canonical import parse
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents

PATIENT = WalkLimits(preview_ms_max=60_000)
"""So that a busy machine is not taken for a server that hangs."""
LOOK = {"capability": "crm.read", "arguments": {"case": "case"}}


def documents(preview: Any = LOOK, *, policies: str = POLICIES, **read: Any) -> list[Any]:
    """The bench's, in which refunds have a preview: the reading of their case, which has no risk."""
    found: list[Any] = bench_documents(policies)
    for one in found:
        if one["metadata"]["name"] == "crm.read":
            one["spec"] |= {"tier": 0, **read}
        if one["metadata"]["name"] == "crm.refund":
            one["spec"]["preview"] = preview
    return found


async def bench(limits: WalkLimits | None = None, **changes: Any) -> Bench:
    found = await Bench(limits=limits or PATIENT).registered(documents(**changes))
    await found.issue()
    return found


def says(structured: Any = None, *, text: str = "") -> Any:
    """An upstream that answers this to whatever is read."""
    content = [{"type": "text", "text": text}] if text else []
    result: dict[str, Any] = {"content": content}
    if structured is not None:
        result["structuredContent"] = structured
    return lambda _effect: Outcome(status="succeeded", result=result)


def effect_of(asked: Any) -> list[list[str]]:
    assert asked is not None
    assert is_card_of(asked.card, asked.shown)
    card = parse(asked.card.bytes)
    assert isinstance(card, dict)
    return card["effect"]


async def asked_with(house: Bench, amount: int = 6000) -> list[list[str]]:
    return effect_of((await house.refund(amount)).approval)


def why_none(lines: list[list[str]]) -> str:
    ((label, text),) = lines
    assert label == "no preview", lines
    return text
