"""The two leaves that every action writes, typed so that they are encoded without being vetted first.

Laws: members stand in canonical order and hold text and integers below 2**53 only, so that the encoder's bytes are RFC
8785 as they come; a test holds them against `encode_ledger`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from answerable.core.ledger.runs import Run


class DecisionLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How it was decided."""

    by: list[str]
    effect: str
    lifted: list[str]
    policy_set: str


class ProofLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the agent proved itself."""

    binding: str
    kind: str
    sequence: int


class Reference(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An earlier entry. leaf: its leaf hash, hex. log: origin of its log; empty for that of the reference itself."""

    entry: int
    leaf: str
    log: str = ""


class IntentLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Leaf of Tag.INTENT."""

    sd: list[str] = msgspec.field(name="_sd")
    action: str
    agent: str
    approval: str
    at: int
    call: int
    capability: str
    deadline: int
    decision: DecisionLeaf
    digest: str
    key: str
    lease: str
    mandate: str
    mandate_ref: Reference
    method: str
    payload: str
    policy_ref: Reference
    principal: str
    proof: ProofLeaf
    run: Run
    server: str
    tag: int
    tool_ref: Reference
    use_case: str
    v: int


class OutcomeLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Leaf of Tag.OUTCOME and Tag.INDETERMINATE. run: None for the end of an intent of an earlier opening."""

    sd: list[str] = msgspec.field(name="_sd")
    action: str
    at: int
    intent: int
    intent_leaf: str
    payload: str
    run: Run | None = None
    status: str
    tag: int
    v: int


_ENCODER: Final = msgspec.json.Encoder()


def encoded_leaf(leaf: IntentLeaf | OutcomeLeaf) -> bytes:
    """The canonical bytes of a typed leaf."""
    return _ENCODER.encode(leaf)
