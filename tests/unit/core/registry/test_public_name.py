"""Names of other people's tools."""

from __future__ import annotations

import pytest

from answerable.core.registry.documents.public_name import (
    checked_plain_target,
    checked_public_name,
    checked_uri_template,
)
from answerable.errors import Malformed


@pytest.mark.parametrize(
    "name", ["get_case", "Get Case", "read/x.y:z", "überweisung", "über-2", "支払い"[:1], "a" * 512]
)
def test_names_that_cannot_be_mistaken_are_returned_unchanged(name):
    assert checked_public_name(name, what="tool") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 513,
        "e\u0301",
        " x",
        "a\tb",
        "a\u200bb",
        "a\u202eb",
        "ｐay",
        "pаy",
        "рау",
        "a\ue000",
        "日a",
    ],
)
def test_names_that_could_be_mistaken_are_refused(name):
    with pytest.raises(Malformed, match="tool "):
        checked_public_name(name, what="tool")


def test_braces_belong_to_uri_templates():
    with pytest.raises(Malformed):
        checked_plain_target("get{case}", what="tool")
    assert checked_uri_template("crm://{a}/x/{b}", what="target") == ("a", "b")
    assert checked_uri_template("crm://x", what="target") == ()
    with pytest.raises(Malformed):
        checked_uri_template("crm://{a}}", what="target")
