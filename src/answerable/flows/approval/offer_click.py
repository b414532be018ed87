"""Add buttons to a chat message to one person, where their click would count and the message has the whole card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.approval import ApprovalId
from answerable.core.approval.delivery import PERSON
from answerable.core.approval.whole_message import whole_lines, with_offer
from answerable.core.base64url import to_base64url
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import Unavailable
from answerable.flows.state.click_desk import CHANNEL, Offered
from answerable.flows.validity.chat_answer_validity import account_of, why_no_click

if TYPE_CHECKING:
    from answerable.core.approval.delivery import Delivery
    from answerable.core.approval.message import Message
    from answerable.flows.state.parts import AskingState, AuthorityRegisters
    from answerable.ports.entropy import Entropy


def with_buttons(
    authority: AuthorityRegisters, asking: AskingState, entropy: Entropy, message: Message, delivery: Delivery
) -> Message:
    """Return the message with buttons for its receiver. Return it unchanged if it goes to a place, is about several
    approvals, or cannot be checked now."""
    desk = asking.clicks
    if desk is None or message.kind != "asked" or delivery.channel != CHANNEL:
        return message
    if not delivery.to.startswith(PERSON):
        return message
    now = authority.clock.now()
    person = PrincipalId(delivery.person)
    try:
        approval = authority.approvals.find(ApprovalId(delivery.about))
        if (
            approval is None
            or approval.state_at(now) != "pending"
            or why_no_click(authority, asking.under_way, asking.limits, approval)
        ):
            return message
    except Unavailable:
        return message
    account = account_of(authority.registry, person)
    if account is None or whole_lines(approval) is None:
        return message
    offered = Offered(
        approval=approval.id,
        action=approval.shown.hex,
        rendering=approval.card.hex,
        person=person,
        account=account,
        ends=approval.expires_at,
    )
    return with_offer(message, approval, to_base64url(desk.offer(offered, entropy, now)))
