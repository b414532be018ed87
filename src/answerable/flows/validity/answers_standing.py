"""Check whether people's answers to an approval are still valid under the current registry, keys, holds and duties."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.approval.batch_answer import statement_in
from answerable.core.approval.chat_click import is_click
from answerable.flows.validity.chat_answer_validity import groups_of_click
from answerable.flows.validity.deputy_validity import groups_still
from answerable.flows.validity.mandate_validity import is_signed_by
from answerable.flows.validity.person_validity import standing_passkey
from answerable.flows.validity.refuse_revoked import signer_fault, signing_key_of
from answerable.flows.validity.workflow_validity import groups_of_workflow

if TYPE_CHECKING:
    from answerable.core.approval.approval import Answer, Approval
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.flows.state.parts import AskingState, AuthorityRegisters


def groups_now(
    authority: AuthorityRegisters, asking: AskingState, approval: Approval, answer: Answer
) -> tuple[str, ...]:
    """Return the groups in which this answer is still valid: none once the person or key is removed or held."""
    if answer.workflow:
        return groups_of_workflow(authority, asking.limits, approval, answer)
    person = authority.registry.current.principals.get(answer.by)
    if person is None:
        return ()
    if is_click(answer.token):
        return groups_of_click(authority, asking, approval, answer, person)
    if answer.credential:
        passkey = standing_passkey(asking.passkeys, answer.credential)
        key = passkey.key if passkey is not None and passkey.person == answer.by else ""
    else:
        token = statement_in(answer.token)
        key = signing_key_of(token) if is_signed_by(token, person.keys) else ""
    return (
        groups_still(authority, asking, answer, person)
        if key and signer_fault(authority, answer.by, key) is None
        else ()
    )


def lost_its_yes(
    authority: AuthorityRegisters, asking: AskingState, approval: Approval, now: UnixMillis
) -> bool:
    """Whether an approved approval has lost too many valid answers to let the action run; nobody can answer it any
    more.

    Emergency access (break glass) is judged by the policy that names who may use it.
    """
    if approval.state_at(now) != "approved":
        return False
    fact = approval.fact(partial(groups_now, authority, asking, approval))
    return not fact.glass and not all(fact.meets(one) for one in approval.requirements)
