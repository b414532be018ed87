"""Record a person's answer given by a click in a chat, after checking again who clicked and whether a click counts.

A click signs nothing. The ledger records that the chat reported it, and labels the answer as a click.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.approval.approval import Answer
from answerable.core.approval.assurance_level import CHAT, is_strong_enough
from answerable.core.approval.chat_click import kept_click
from answerable.core.approval.message import asked_message
from answerable.core.approval.words import words_of
from answerable.errors import AnswerableError, Broken, Unavailable, shown
from answerable.errors.codes.approval import (
    APPROVAL_NOT_PENDING,
    APPROVAL_WEAK_SIGNATURE,
    CLICK_ACCOUNT,
    CLICK_CHANGED,
    CLICK_NOT_HERE,
    CLICK_PERSON,
)
from answerable.flows.approval.answer_approval import one_at_a_time
from answerable.flows.approval.answering_pace import check_look
from answerable.flows.approval.open_approval import approval_here, approval_page
from answerable.flows.approval.record_view import seen_at
from answerable.flows.validity.chat_answer_validity import account_of, why_no_click
from answerable.flows.validity.refuse_revoked import signer_fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.chat_click import ChatAccount
    from answerable.core.approval.message import Message
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.click_desk import ChatAnswerState, Offered
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters, InProgress, Recorder
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.flows.state.walk_limits import WalkLimits
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger

INSTEAD: Final = "answer it in the console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A click as the chat reported it, after the chat's signature was checked. account: the chat account that clicked.
    nonce: the value behind the button. reason: code of a no; empty where none was chosen. place: of the message,
    `CHANNEL:TS`. request: SHA-256 of the request from the chat, hex. sent_s: when the chat says it was sent, Unix
    seconds."""

    account: ChatAccount
    nonce: bytes
    verdict: Literal["approve", "deny"]
    reason: str
    place: str
    request: str
    sent_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    """The result of a click. approval: the approval after the answer; None where the click did not count. why: the
    reason that it did not, for the person who clicked. instead: the message without buttons, where the approval still
    waits under buttons that no longer work."""

    approval: Approval | None = None
    why: str = ""
    instead: Message | None = None


async def take_click(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    click: Click,
) -> Clicked:
    """Record the answer, or return why the click does not count. An offer is used up by one click, even a refused one,
    but only by the account that it was offered to. Raises Broken."""
    now, desk = recorder.clock.now(), asking.clicks
    offered = desk.find(click.nonce, now) if desk is not None else None
    if desk is None or offered is None:
        page = approval_page(asking.passkeys, "").rstrip("/")
        where = f"{INSTEAD}, {page}" if page else INSTEAD
        return Clicked(
            why=(
                "this button was used, has expired, or was sent before a restart; the click does "
                f"not count: {where}"
            )
        )
    if offered.account != click.account:
        return Clicked(why="this message was sent to another person; the click does not count")
    # Use up the offer. There is no await between `find` and `take`, so no other click can use it.
    desk.take(click.nonce)
    try:
        return Clicked(
            approval=await _answered(
                recorder, authority, asking, counters, desk.chat.standing, offered, click
            )
        )
    except Broken:
        raise
    except AnswerableError as fault:
        unknown = isinstance(fault, Unavailable) and fault.effect == "unknown"
        said = (
            "check in the console whether it counts" if unknown else f"this click does not count: {INSTEAD}"
        )
        return Clicked(
            why=f"{fault.message}; {said}",
            instead=_without_buttons(recorder.ledger, authority, asking.passkeys, offered),
        )


async def tell_clicked(
    reach: NotificationState | None, clock: Clock, desk: ChatAnswerState, click: Click, clicked: Clicked
) -> None:
    """Report the result in the chat. Best effort: a recorded answer counts even if the chat takes no message."""
    if reach is not None and clicked.approval is not None:
        # Everybody who was asked hears of the result, as with every other answer.
        reach.wake()
    if clicked.instead is not None:
        await desk.chat.withdraw(clicked.instead, click.place, now=clock.now())
    if clicked.why:
        await desk.chat.whisper(clicked.why, click.account, click.place)


async def _answered(
    recorder: Recorder,
    authority: AuthorityRegisters,
    asking: AskingState,
    counters: Counters,
    standing: Callable[[ChatAccount], Awaitable[str]],
    offered: Offered,
    click: Click,
) -> Approval:
    """Record the answer. standing: why the chat does not accept an account; empty if it does."""
    # 1. Local checks first: the chat is queried only about a click that would count.
    approval = approval_here(recorder.ledger, authority, offered.approval)
    _check(authority, asking.under_way, asking.limits, approval, offered, click)
    # 2. The chat says whose account that is now. After a crash here, nothing was recorded and the button is used up.
    why = await standing(click.account)
    if why:
        raise CLICK_ACCOUNT(f"the chat does not accept your account: {why}")
    # 3. Check everything again, because state may have changed during the await; then record it like every other
    # answer.
    return await one_at_a_time(
        recorder,
        authority,
        asking,
        counters,
        offered.approval,
        partial(_read, recorder.ledger, authority, asking, offered=offered, click=click),
    )


def _read(
    ledger: Ledger,
    authority: AuthorityRegisters,
    asking: AskingState,
    approval: Approval,
    now: UnixMillis,
    *,
    offered: Offered,
    click: Click,
) -> tuple[Answer, str, str]:
    _check(authority, asking.under_way, asking.limits, approval, offered, click)
    words = words_of(click.verdict, reason=click.reason)
    if not is_strong_enough(asking.limits, approval, CHAT):
        raise APPROVAL_WEAK_SIGNATURE(
            "an action of this tier needs a signed answer: answer it in the console or on the command line"
        )
    # A tier with a minimum reading time takes no click: nobody can know how long the message was read.
    check_look(asking.limits, approval, verdict=click.verdict, opened_at=now, now=now)
    answer = Answer(
        by=offered.person,
        groups=authority.registry.current.principals[offered.person].groups,
        verdict=click.verdict,
        comment="",
        reason=words.reason,
        at=now,
        token=kept_click(
            approval,
            click.account,
            by=offered.person,
            verdict=click.verdict,
            reason=words.reason,
            audience=ledger.origin,
            nonce=sha256(click.nonce).hexdigest(),
            request=click.request,
            sent_s=click.sent_s,
            at=now,
        ),
        # Nobody knows whether the person read the chat message; only a page view counts.
        opened_at=seen_at(asking.openings, approval, offered.person, now),
    )
    return answer, "", ""


def _check(
    authority: AuthorityRegisters,
    under_way: InProgress,
    limits: WalkLimits,
    approval: Approval,
    offered: Offered,
    click: Click,
) -> None:
    """Check that the offer still holds for this person and approval. Raises Refused (`approval.not_pending`,
    `click.changed`, `click.not_here`, `click.person`, `revoked.*`, `held.*`), Unavailable."""
    state = approval.state_at(authority.clock.now())
    if state != "pending":
        raise APPROVAL_NOT_PENDING(
            f"approval {shown(approval.id)} is {state}, so it can no longer be answered"
        )
    if (approval.shown.hex, approval.card.hex) != (offered.action, offered.rendering):
        raise CLICK_CHANGED()
    # Use the registry of now, not that of when the message was sent.
    if account_of(authority.registry, offered.person) != click.account:
        raise CLICK_PERSON(f"{shown(offered.person)} is not active, or has another account in the chat now")
    fault = signer_fault(authority, offered.person, "")
    if fault is not None:
        raise fault
    why = why_no_click(authority, under_way, limits, approval)
    if why:
        raise CLICK_NOT_HERE(f"this approval cannot be answered by a click: {why}")


def _without_buttons(
    ledger: Ledger, authority: AuthorityRegisters, passkeys: PasskeyState | None, offered: Offered
) -> Message | None:
    """Return the message as receivers without buttons see it. None where the approval no longer waits: its end is
    reported separately."""
    now = authority.clock.now()
    try:
        approval = approval_here(ledger, authority, offered.approval)
        if approval.state_at(now) != "pending":
            return None
        return asked_message(approval, link=approval_page(passkeys, approval.id), now=now)
    except AnswerableError:
        return None
