"""The two leaves that every action writes, typed so that they are encoded without being vetted first.

Laws: members stand in canonical order and hold text and integers below 2**53 only, so that the encoder's bytes are RFC
8785 as they come; a test holds them against `encode_ledger`.
"""

from __future__ import annotations

from typing import Final

import msgspec


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
    message: str
    sequence: int


class IntentLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Leaf of Tag.INTENT."""

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
    method: str
    payload: str
    principal: str
    proof: ProofLeaf
    server: str
    tag: int
    use_case: str
    v: int


class OutcomeLeaf(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Leaf of Tag.OUTCOME and Tag.INDETERMINATE."""

    action: str
    at: int
    intent: int
    intent_leaf: str
    payload: str
    result: str
    status: str
    tag: int
    v: int


_ENCODER: Final = msgspec.json.Encoder()


def encoded_leaf(leaf: IntentLeaf | OutcomeLeaf) -> bytes:
    """The canonical bytes of a typed leaf."""
    return _ENCODER.encode(leaf)
