"""Rebuild an answer from its ledger entry, and verify its signature under a key that the person had at that time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from answerable.core.approval.approval import Answer
from answerable.core.approval.batch_answer import is_of_batch, root_in, verify_kept_batch
from answerable.core.approval.chat_click import is_click
from answerable.core.approval.emergency_access import GLASS
from answerable.core.approval.on_behalf_of import OnBehalfOf
from answerable.core.approval.passkey_answer import is_by_passkey, verify_kept
from answerable.core.approval.token import VERDICTS, verify_answer
from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import PrincipalId, UnixMillis, workflow_id
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.errors.codes.approval import APPROVAL_KEY, APPROVAL_OTHER

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.batch_answer import BatchSaid
    from answerable.core.approval.passkey_answer import PasskeyAnswer
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.ledger.projected import Told


def answer_in(told: Told) -> Answer | None:
    """Return the answer in an entry; None where it cannot be decrypted, or where it is neither an approval nor a
    denial."""
    fields, leaf = told.fields or {}, told.leaf
    by, token, groups = told.text("person"), told.text("token"), fields.get("groups")
    verdict = next((one for one in VERDICTS if one == leaf.get("verdict")), None)
    if not by or not token or verdict is None:
        return None
    narrower, opened = fields.get("narrower"), leaf.get("opened")
    return Answer(
        by=PrincipalId(by),
        groups=tuple(map(str, groups)) if isinstance(groups, list) else (),
        verdict=verdict,
        comment=told.text("comment"),
        at=UnixMillis(told.whole("at")),
        token=token,
        credential=credential_in(token),
        workflow=str(leaf.get("workflow") or ""),
        reason=told.text("denial"),
        narrower=encode(narrower).decode() if narrower else "",
        in_place_of=_in_place_of(told),
        opened_at=UnixMillis(opened) if isinstance(opened, int) else None,
    )


def _in_place_of(told: Told) -> OnBehalfOf | None:
    duty, place, of = told.leaf.get("duty"), told.leaf.get("duty_ref"), told.text("of")
    if not isinstance(duty, dict) or not isinstance(place, dict) or not of:
        return None
    entry = place.get("entry")
    return OnBehalfOf(
        of=PrincipalId(of),
        group=str(duty.get("group")),
        delegation=str(duty.get("delegation")),
        entry=entry if isinstance(entry, int) else -1,
        leaf=str(place.get("leaf")),
        log=str(place.get("log") or ""),
    )


class Haste(NamedTuple):
    """An approving answer that counts towards a person's pace, as `flows.approval.answering_pace` counts it. what: the
    approval or batch."""

    person: str
    kind: str
    what: str
    at: int


def haste_in(told: Told) -> Haste | None:
    """Return the approving answer that an entry records; None for another entry, a denial, a workflow's answer or an
    anonymous one."""
    answer = answer_in(told) if told.tag == Tag.APPROVAL_ANSWER else None
    if answer is None or answer.workflow or answer.verdict == "deny":
        return None
    kind = GLASS if answer.verdict == GLASS else "approve"
    return Haste(answer.by, kind, root_in(answer.token) or str(told.leaf.get("approval")), answer.at)


def answer_fault(answer: Answer, approval: Approval, told: Told) -> str:
    """Return why an approving answer does not count, as a code; empty where the named person signed it for exactly this
    approval."""
    if is_click(answer.token):
        # A chat click has no signature. Read back from a log, it proves nothing.
        return "unsigned"
    try:
        said = _signed(answer, approval, told)
    except AnswerableError as error:
        return error.code
    wanted = (approval.id, approval.shown.hex, approval.card.hex, answer.verdict, told.log)
    if said is not None and (
        (said.approval, said.action, said.rendering, said.verdict, said.audience) != wanted
        or said.by != answer.by
    ):
        return "other"
    return ""


def _signed(answer: Answer, approval: Approval, told: Told) -> BatchSaid | PasskeyAnswer | None:
    """Return what was signed, for the caller to compare; None where this function already compared it. Raises
    Unverified, Malformed."""
    if is_of_batch(answer.token):
        return _of_batch(answer, told)
    if is_by_passkey(answer.token):
        said = verify_kept(answer.token)
        _require_owner(said.key, answer, told)
        return said
    signed = verify_answer(
        answer.token,
        approval=approval,
        audience=told.log,
        keys_of=lambda name: _keys(answer, name, told),
        now=answer.at,
    )
    if signed.verdict != answer.verdict or (not answer.workflow and signed.by != answer.by):
        raise APPROVAL_OTHER("it says something else than its entry")
    return None


def _of_batch(answer: Answer, told: Told) -> BatchSaid:
    by_key = '"passkey":' not in answer.token
    keys = _keys(answer, answer.by, told) if by_key else (None,)
    failed: AnswerableError = APPROVAL_KEY("nobody's key signed it")
    for key in keys:
        try:
            said = verify_kept_batch(answer.token, key)
        except AnswerableError as error:
            failed = error
            continue
        if said.by_key:
            _require_owner(said.by_key, answer, told)
        return said
    raise failed


def _keys(answer: Answer, name: str, told: Told) -> tuple[PublicKey, ...]:
    registry = told.world.registry
    if answer.workflow:
        workflow = registry.workflows.get(answer.workflow)
        is_own = workflow is not None and name == workflow_id(answer.workflow)
        return workflow.keys if workflow is not None and is_own else ()
    return registry.person_keys(name)


def _require_owner(key: str, answer: Answer, told: Told) -> None:
    if told.world.passkeys.get(key) != answer.by:
        raise APPROVAL_KEY("the passkey is not theirs")


def credential_in(token: str) -> str:
    """Return the passkey id in a stored answer; empty where no passkey signed it, or where the answer
    cannot be read."""
    if not token.startswith("{"):
        return ""
    try:
        kept = parse(token.encode())
    except AnswerableError:
        return ""
    signed = kept.get("passkey", kept) if isinstance(kept, dict) else {}
    assertion = signed.get("assertion") if isinstance(signed, dict) else None
    return str(assertion.get("credential_id") or "") if isinstance(assertion, dict) else ""
