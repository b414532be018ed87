"""Whether what people answered still counts: by the registry, the keys, the holds and the duties of this moment."""

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
    from answerable.flows.state.walk import Walk


def groups_now(walk: Walk, approval: Approval, answer: Answer) -> tuple[str, ...]:
    """The groups in which this answer still counts: none once the person or the key that signed it is gone or held."""
    if answer.workflow:
        return groups_of_workflow(walk, approval, answer)
    person = walk.registry.current.principals.get(answer.by)
    if person is None:
        return ()
    if is_click(answer.token):
        return groups_of_click(walk, approval, answer, person)
    if answer.credential:
        passkey = standing_passkey(walk, answer.credential)
        key = passkey.key if passkey is not None and passkey.person == answer.by else ""
    else:
        token = statement_in(answer.token)
        key = signing_key_of(token) if is_signed_by(token, person.keys) else ""
    return groups_still(walk, answer, person) if key and signer_fault(walk, answer.by, key) is None else ()


def lost_its_yes(walk: Walk, approval: Approval, now: UnixMillis) -> bool:
    """Whether people let this run, and too few of them count any more: nobody else can answer it, and it lets nothing
    run. A glass that somebody broke is judged by the policy that names who may."""
    if approval.state_at(now) != "approved":
        return False
    fact = approval.fact(partial(groups_now, walk, approval))
    return not fact.glass and not all(fact.meets(one) for one in approval.requirements)
