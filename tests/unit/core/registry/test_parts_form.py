from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.registry.documents.parts_form import form_of_parts, parts_of_form
from answerable.core.registry.documents.policy_parts import NO_PARTS, TimeWindow
from answerable.errors import Malformed
from tests.worlds.policy import PARTS


@pytest.mark.requirement("PUB-02")
def test_what_sets_declare_is_written_and_read_back():
    assert parts_of_form(form_of_parts(PARTS)) == PARTS
    assert form_of_parts(NO_PARTS) == {}


@pytest.mark.requirement("PUB-02")
def test_what_is_not_said_is_left_out():
    form = form_of_parts(PARTS)
    assert isinstance(form, dict)
    assert form["windows"] == [
        {"name": "freeze", "begins": PARTS.windows[0].begins, "ends": PARTS.windows[0].ends}
    ]
    assert TimeWindow(name="freeze").days == ()


@pytest.mark.requirement("PUB-02")
def test_what_is_no_such_form_is_refused():
    with pytest.raises(Malformed, match="policy set"):
        parts_of_form({"trackers": [{"name": 3}]})


@pytest.mark.requirement("PUB-02")
def test_a_part_of_a_kind_that_has_no_form_is_no_part_of_a_digest():
    with pytest.raises(TypeError, match="no form for float"):
        form_of_parts(replace(PARTS, windows=(1.5,)))
