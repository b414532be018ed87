"""Typed leaves are what the ledger's own encoder would have written."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.canonical import INTEGER_MAX, encode_ledger, parse
from answerable.core.ledger.codec import chained, frame_header, linked_frame
from answerable.core.ledger.leaves import (
    USUAL_METHOD,
    DecisionLeaf,
    EvidenceLeaf,
    IntentLeaf,
    OutcomeLeaf,
    ProofLeaf,
    Reference,
    encoded_leaf,
)
from answerable.core.ledger.runs import Run
from answerable.core.tlog.merkle import leaf_hash

pytestmark = pytest.mark.requirement("WALK-02")

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NUMBER = st.integers(min_value=0, max_value=INTEGER_MAX)
_TEXTS = st.lists(_TEXT, max_size=3)


def _filled(kind: type, **given_parts: st.SearchStrategy) -> st.SearchStrategy:
    parts = {
        one.name: given_parts.get(one.name, _NUMBER if one.type is int else _TEXT)
        for one in msgspec.structs.fields(kind)
    }
    return st.builds(kind, **parts)


_RUN = _filled(Run)
_REFERENCE = _filled(Reference)
_LEAVES = st.one_of(
    _filled(OutcomeLeaf, sd=_TEXTS, run=st.none() | _RUN),
    _filled(
        IntentLeaf,
        sd=_TEXTS,
        run=_RUN,
        mandate_ref=_NUMBER | _REFERENCE,
        policy_ref=_NUMBER | _REFERENCE,
        tool_ref=_NUMBER | _REFERENCE,
        method=st.just(USUAL_METHOD) | _TEXT,
        decision=_filled(DecisionLeaf, by=_TEXTS, lifted=_TEXTS),
        proof=_filled(ProofLeaf),
        evidence=st.none() | _filled(EvidenceLeaf, drifted=st.booleans()),
    ),
)


@given(_LEAVES)
def test_a_typed_leaf_is_canonical_as_it_comes(leaf):
    written = encoded_leaf(leaf)
    assert encode_ledger(parse(written)) == written


@given(_LEAVES)
def test_a_typed_leaf_says_the_members_that_it_was_given_and_no_others(leaf):
    members = msgspec.to_builtins(leaf)
    assert encode_ledger(members) == encoded_leaf(leaf)
    expected = {one.encode_name for one in msgspec.structs.fields(type(leaf))}
    optional = {
        "approval": "",
        "key": "",
        "lease": "",
        "run": None,
        "evidence": None,
        "instance": "",
        "lease_target": "",
        "manifest": "",
        "manifest_grade": "",
        "preview_of": "",
        "method": USUAL_METHOD,
    }
    expected -= {name for name, default in optional.items() if getattr(leaf, name, default) == default}
    assert set(members) == expected


@pytest.mark.parametrize("drifted", [False, True])
def test_that_an_instance_has_drifted_is_a_member_only_where_it_has(drifted):
    leaf = EvidenceLeaf(drifted=drifted, grade="gateway", source="observed")
    members = {"grade": "gateway", "source": "observed"}
    assert msgspec.json.decode(msgspec.json.encode(leaf)) == (
        {"drifted": True, **members} if drifted else members
    )


@given(st.binary(min_size=1), st.binary(), st.binary(min_size=32, max_size=32), _NUMBER)
def test_a_frame_is_linked_as_its_parts_say(leaf, attachment, chain, batch):
    after = chained(chain, leaf_hash(leaf))
    header = frame_header(leaf, attachment, chain=after, batch=batch)
    assert linked_frame(leaf, attachment, chain=chain, batch=batch) == (leaf_hash(leaf), after, header)
