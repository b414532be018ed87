"""Names that drafts and incubating standards put on the wire are written once: a rename is a change of one file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from answerable.core.identity import spiffe_terms
from set_up import ROOT

SOURCES = ROOT / "src/answerable"
TERMS = Path(spiffe_terms.__file__)
MARKS = (
    "spiffe.io",
    "spiffe.broker",
    "SpiffeWorkloadAPI",
    "SPIFFE_ENDPOINT_SOCKET",
    "wit+jwt",
    "-svid",
    "spiffe_",
)
"""What no other text than such a name holds."""


def written(place: Path) -> set[str]:
    """Texts of a module that are one word, but for the tables of messages and what is read by people."""
    tree = ast.parse(place.read_text())
    texts = {
        one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    return {text for text in texts if text and not set(text) & set(" \n`")}


def names() -> set[str]:
    found = {value for name, value in vars(spiffe_terms).items() if name.isupper() and isinstance(value, str)}
    return {name for name in found if any(mark in name for mark in MARKS)}


@pytest.mark.requirement("SPIFFE-10")
def test_every_name_of_the_workload_and_broker_apis_and_of_bundles_is_written_in_one_module() -> None:
    known = names()
    assert {"workload.spiffe.io", "broker.spiffe.io", "spiffe.broker.API", "wit+jwt", "wit-svid"} <= known
    again = {
        (str(place.relative_to(SOURCES)), text)
        for place in sorted(SOURCES.rglob("*.py"))
        if place != TERMS
        for text in written(place)
        if any(text == name or text.startswith(f"{name}.") for name in known)
    }
    assert again == set()
