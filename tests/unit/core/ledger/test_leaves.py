"""Typed leaves are what the ledger's own encoder would have written."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import INTEGER_MAX, encode_ledger, parse
from answerable.core.ledger.leaves import (
    DecisionLeaf,
    IntentLeaf,
    OutcomeLeaf,
    ProofLeaf,
    encoded_leaf,
)

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NUMBER = st.integers(min_value=0, max_value=INTEGER_MAX)
_TEXTS = st.lists(_TEXT, max_size=3)


def _filled(kind: type, **given_parts: st.SearchStrategy) -> st.SearchStrategy:
    parts = {
        one.name: given_parts.get(one.name, _NUMBER if one.type is int else _TEXT)
        for one in msgspec.structs.fields(kind)
    }
    return st.builds(kind, **parts)


_LEAVES = st.one_of(
    _filled(OutcomeLeaf),
    _filled(
        IntentLeaf,
        decision=_filled(DecisionLeaf, by=_TEXTS, lifted=_TEXTS),
        proof=_filled(ProofLeaf),
    ),
)


@given(_LEAVES)
def test_a_typed_leaf_is_canonical_as_it_comes(leaf):
    written = encoded_leaf(leaf)
    assert encode_ledger(parse(written)) == written
