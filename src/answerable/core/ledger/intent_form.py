"""Encode the leaf of an intent, by a form of its plan where there is one: most members are the same for all actions
under one plan and one decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from answerable.core.action.text_form import form_of
from answerable.core.ledger.decided import decision_leaf, narrowed_kinds
from answerable.core.ledger.entry import LEAF_VERSION
from answerable.core.ledger.leaves import IntentLeaf, encoded_leaf, evidence_leaf
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.ledger.leaves import HopLeaf, ProofLeaf, Reference
    from answerable.core.ledger.runs import Run


class Cited(NamedTuple):
    """What an intent refers to. principal: pseudonym. The references are to earlier entries of the same log."""

    principal: str
    mandate: Reference
    policy_set: Reference
    tool: Reference
    hops: list[HopLeaf]


class Varying(NamedTuple):
    """The members of the leaf that differ between actions under one plan and one decision, in canonical order."""

    sd: list[str]
    accounts: list[str] | None
    action: str
    approval: str
    at: int
    call: int
    deadline: int
    digest: str
    key: str
    lease: str
    lease_target: str
    payload: str
    prepared_ref: Reference | None
    preview_of: str
    proof: ProofLeaf
    reserved: dict[str, int] | None
    run: Run


_ENCODE: Final = msgspec.json.Encoder().encode
_ABSENT: Final = frozenset(
    {"accounts", "approval", "key", "lease", "lease_target", "prepared_ref", "preview_of", "reserved"}
)
"""Members that are absent where they have nothing to say."""
_MARKS: Final = Varying._make(f"\0{name}" for name in Varying._fields)
_HOLES: Final = tuple(
    f',"{name}":"\\u0000{name}"' if name in _ABSENT else f'"\\u0000{name}"' for name in Varying._fields
)


def encoded_intent(verified: VerifiedRequest, decision: Decision, cited: Cited, varying: Varying) -> bytes:
    """Return the canonical leaf of an intent."""
    forms = verified.forms
    if forms is not None and decision.wider is None:
        request, caller = verified.request, verified.caller
        written = (
            decision.effect, verified.resolved, verified.mandate, caller.agent, caller.identity,
            request.server, request.method, *cited,
        )  # fmt: skip
        key = ("intent", decision.determined_by, decision.lifted, decision.obligations, decision.policy_set)
        form = forms.find(
            key, written, lambda: form_of(_encoded(verified, decision, cited, _MARKS), _HOLES, written)
        )
        if form is not None:
            return form.filled(*_texts(varying))
    return _encoded(verified, decision, cited, varying)


def _encoded(verified: VerifiedRequest, decision: Decision, cited: Cited, varying: Varying) -> bytes:
    request, mandate, identity = verified.request, verified.mandate, verified.caller.identity
    leaf = IntentLeaf(
        **varying._asdict(),
        agent=verified.caller.agent,
        capability=verified.resolved.capability.name,
        decision=decision_leaf(decision),
        evidence=evidence_leaf(identity),
        hops=cited.hops,
        instance=identity.instance,
        mandate=mandate.id,
        mandate_ref=cited.mandate,
        manifest=identity.manifest,
        manifest_fields=dict(identity.manifest_fields) or None,
        manifest_grade=identity.manifest_grade,
        method=request.method,
        narrowed=narrowed_kinds(decision),
        policy_ref=cited.policy_set,
        principal=cited.principal,
        server=request.server,
        tag=int(Tag.INTENT),
        tier=verified.resolved.capability.tier,
        tool_ref=cited.tool,
        use_case=mandate.use_case,
        v=LEAF_VERSION,
    )
    return encoded_leaf(leaf)


def _texts(of: Varying) -> tuple[object, ...]:
    """Return the texts for the holes. Digests, pseudonyms and run ids are hexadecimal or base64url, and need no
    escapes; a member with nothing to say leaves its hole empty."""
    run, proof = of.run, of.proof
    return (
        '["' + '","'.join(of.sd) + '"]' if of.sd else "[]",
        "" if of.accounts is None else _member("accounts", of.accounts),
        _json(of.action),
        "" if not of.approval else _member("approval", of.approval),
        of.at,
        of.call,
        of.deadline,
        f'"{of.digest}"',
        "" if not of.key else _member("key", of.key),
        "" if not of.lease else _member("lease", of.lease),
        "" if not of.lease_target else _member("lease_target", of.lease_target),
        f'"{of.payload}"',
        "" if of.prepared_ref is None else _member("prepared_ref", of.prepared_ref),
        "" if not of.preview_of else _member("preview_of", of.preview_of),
        f'{{"binding":{_json(proof.binding)},"kind":{_json(proof.kind)},"sequence":{proof.sequence}}}',
        "" if of.reserved is None else _member("reserved", of.reserved),
        f'{{"id":"{run.id}","prev":"{run.prev}","seq":{run.seq}}}',
    )


def _json(value: object) -> str:
    return _ENCODE(value).decode()


def _member(name: str, value: object) -> str:
    return f',"{name}":{_json(value)}'
