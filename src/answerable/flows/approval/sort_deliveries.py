"""Sort the deliveries of one round: messages to send now, and deliveries that can never be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import REQUESTER, Delivery, missed, put_together
from answerable.core.approval.message import asked_message, digest_message, ended_message, message_in
from answerable.errors import AnswerableError
from answerable.flows.approval.open_approval import approval_page
from answerable.flows.validity.mandate_validity import shard_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.delivery import Told
    from answerable.core.approval.message import Message
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.flows.state.reach_desk import NotificationState
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.shard_link import ShardLink

AT_A_TIME: Final = 40
"""Messages sent under one claim."""
WAIT_SECONDS_MAX: Final = 300.0
"""Longest pause that a channel may request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One message to send. of: its deliveries, all to one receiver."""

    message: Message
    what: Told
    of: tuple[Delivery, ...]


@dataclass(slots=True, kw_only=True)
class Seen:
    """The work of one round: deliveries not stored yet, messages to send now, and deliveries that can never be made."""

    fresh: list[Delivery] = field(default_factory=list)
    due: list[Due] = field(default_factory=list)
    missed: list[Delivery] = field(default_factory=list)


def sort_out(
    ours: Callable[[Approval], bool],
    passkeys: PasskeyState | None,
    clock: Clock,
    desk: NotificationState,
    known: tuple[Delivery, ...],
    approvals: Mapping[ApprovalId, Approval],
    seen: Seen,
) -> None:
    """Sort known deliveries into messages to send now and deliveries that can never be made. ours: whether this process
    sends messages about an approval."""
    now = clock.now()
    asked: list[Delivery] = []
    others: list[Due] = []
    for one in known:
        # If the clock was set back, wait no longer than the longest pause.
        later = now < one.next_at <= now + WAIT_SECONDS_MAX * 1000
        if one.missed or one.told in ("ended", "notice") or later:
            continue
        approval = approvals.get(ApprovalId(one.about))
        if one.body:
            if now > one.made_at + desk.limits.after_end_ms:
                seen.missed.append(missed(one))
            else:
                _take_kept(one, others, seen)
        elif approval is None:
            seen.missed.append(missed(one, why="the approval no longer exists"))
        elif not ours(approval):
            continue
        elif approval.state_at(now) == "pending":
            if not one.to.startswith(REQUESTER) and not one.told:
                asked.append(one)
        elif len(others) >= AT_A_TIME:
            continue
        elif (end := _of_end(passkeys, desk, one, approval, now=now)) is not None:
            others.append(end)
        elif not one.told and (approval.canary is None or approval.canary.ended):
            seen.missed.append(missed(one))
    # Questions that can still be answered are sent first.
    _sort_asked(passkeys, clock, desk, asked, known, approvals, seen)
    seen.due += others
    del seen.due[AT_A_TIME:]


def _take_kept(one: Delivery, others: list[Due], seen: Seen) -> None:
    try:
        others.append(Due(message=message_in(one.body), what="notice", of=(one,)))
    except AnswerableError as error:
        seen.missed.append(missed(one, why=error.message))


def is_ours(ledger: Ledger, mandates: MandateRegister, link: ShardLink | None, approval: Approval) -> bool:
    """Whether this process sends messages about the approval: the shard where it is answered does, as its link leads
    there."""
    mandate = mandates.find(approval.mandate) if link is not None else None
    return mandate is None or shard_elsewhere(mandate, ledger.origin) is None


def _sort_asked(
    passkeys: PasskeyState | None,
    clock: Clock,
    desk: NotificationState,
    asked: list[Delivery],
    known: tuple[Delivery, ...],
    approvals: Mapping[ApprovalId, Approval],
    seen: Seen,
) -> None:
    now = clock.now()
    alone, together = put_together(asked, known, desk.limits.digest, now=now)
    for one in alone[:AT_A_TIME]:
        approval = approvals[ApprovalId(one.about)]
        try:
            message = asked_message(approval, link=approval_page(passkeys, approval.id), now=now)
        except AnswerableError as error:
            seen.missed.append(missed(one, why=error.message))
        else:
            seen.due.append(Due(message=message, what="asked", of=(one,)))
    for waiting in together.values():
        message = digest_message(
            len(waiting),
            identity=f"{waiting[0].about}.digest",
            link=approval_page(passkeys, "").rstrip("/"),
            now=now,
        )
        seen.due.append(Due(message=message, what="digest", of=tuple(waiting)))


def _of_end(
    passkeys: PasskeyState | None,
    desk: NotificationState,
    one: Delivery,
    approval: Approval,
    *,
    now: UnixMillis,
) -> Due | None:
    """Return the message that an approval ended, for receivers who were notified that it waits and for the requester.
    None for all others, and when it is too late."""
    requester = one.to.startswith(REQUESTER)
    wanted = requester or (one.told == "asked" and desk.channels[one.channel].updates)
    if approval.canary is not None and not approval.canary.ended:
        # It is revealed in a moment; before that, the giver of the task would hear of an action that nobody requested.
        return None
    ended_at = max((answer.at for answer in approval.answers), default=approval.expires_at)
    if not wanted or now > max(ended_at, one.made_at) + desk.limits.after_end_ms:
        return None
    try:
        message = ended_message(
            approval,
            link=approval_page(passkeys, approval.id),
            now=now,
            name_answerers=one.channel in desk.name_answerers,
            to_requester=requester,
        )
    except AnswerableError:
        return None
    return Due(message=message, what="ended", of=(one,))
