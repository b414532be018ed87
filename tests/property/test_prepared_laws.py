"""Whatever a tool prepares: one text, one digest, all of it on the card; and pointers that never raise."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.action.prepared import Executed, PreparedText, named_digest, prepared_text
from answerable.core.approval.card import card_of
from answerable.core.canonical import INTEGER_MAX, encode, freeze, parse
from answerable.core.registry.documents.pointing import AT_THE_END, EVERY, JSON, value_at
from answerable.errors import Malformed
from answerable.testing.samples import action_shown

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(max_size=8),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=6), below, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, max_size=5)


def kept(result: dict[str, Any]) -> PreparedText | None:
    try:
        return prepared_text(result, bytes_max=32_768)
    except Malformed:
        return None


@pytest.mark.requirement("PREPARE-02")
@given(OBJECTS)
def test_an_object_is_one_canonical_text_under_its_digest(value):
    found = kept({"structuredContent": value})
    if found is None:
        return
    assert found.text.encode() == encode(value)
    assert found.digest == sha256(encode(value)).hexdigest() == freeze(found.value()).hex
    again = kept({"structuredContent": parse(found.text.encode())})
    assert again == found
    assert named_digest(f"sha256:{found.digest}") == found.digest


@pytest.mark.requirement("PREPARE-02")
@given(st.text(min_size=1, max_size=200))
def test_a_text_stays_as_it_is(text):
    found = kept({"content": [{"type": "text", "text": text}]})
    assert found is None or (found.text == text and found.value() == text)


@pytest.mark.requirement("PREPARE-05")
@given(OBJECTS)
def test_all_of_it_is_on_the_card_and_another_object_draws_another_card(value):
    found = kept({"structuredContent": value})
    if found is None:
        return
    card = drawn(found)
    leaves = {where for where, _ in card["all"]}
    assert any(where.startswith("/prepared/object") for where in leaves)
    assert dict(card["all"])["/prepared/digest"] == f'"{found.digest}"'
    other = kept({"structuredContent": {**value, "one more": 1}})
    assert other is not None
    assert drawn(other)["prepared"] != card["prepared"]


def drawn(found: PreparedText) -> Any:
    executed = Executed(
        id="p-1",
        argument="batch",
        digest=found.digest,
        entry=7,
        leaf="0" * 64,
        expires_at=1,
        made_by="crm.prepare",
        content=found,
    )
    envelope: Any = action_shown("a-1", {"batch": found.text}).thaw()
    envelope["value"]["prepared"] = executed.members()
    return parse(card_of(freeze(envelope)).bytes)


STEPS = st.lists(st.sampled_from(["a", "0", EVERY, JSON, *AT_THE_END]), min_size=1, max_size=6)


@pytest.mark.requirement("PREPARE-04")
@given(STEPS, VALUES | OBJECTS.map(lambda value: encode(value).decode()) | st.text(max_size=12))
def test_a_pointer_takes_anything_and_never_raises(steps, value):
    value_at({"a": value}, "/" + "/".join(steps))


@pytest.mark.requirement("PREPARE-04")
@given(st.lists(st.integers(0, 10**9), max_size=50))
def test_the_sum_is_the_sum(numbers):
    text = encode({"lines": [{"n": one} for one in numbers]}).decode()
    assert value_at({"t": text}, "/t/{json}/lines/*/n/{sum}") == sum(numbers)
    assert value_at({"t": text}, "/t/{json}/lines/{count}") == len(numbers)
