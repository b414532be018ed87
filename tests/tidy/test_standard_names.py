"""Names that drafts and incubating standards put on the wire are written once: a rename is a change of one file."""

from __future__ import annotations

import ast

import pytest

from answerable.core.identity.names import spiffe_terms
from tests.tidy.answers import answers
from tests.tidy.tree import Module

TERMS = "src/answerable/core/identity/names/spiffe_terms.py"
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


def written(module: Module) -> list[str]:
    """Texts of a module that hold a mark and are one word: no tables of messages, and nothing that people read."""
    texts = {
        one.value for one in module.nodes if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    return sorted(
        text for text in texts if any(mark in text for mark in MARKS) and not set(text) & set(" \n`")
    )


def names() -> set[str]:
    found = {value for name, value in vars(spiffe_terms).items() if name.isupper() and isinstance(value, str)}
    return {name for name in found if any(mark in name for mark in MARKS)}


@pytest.mark.requirement("SPIFFE-10")
def test_every_name_of_the_workload_and_broker_apis_and_of_bundles_is_written_in_one_module() -> None:
    known = names()
    assert {"workload.spiffe.io", "broker.spiffe.io", "spiffe.broker.API", "wit+jwt", "wit-svid"} <= known
    found = answers(written, "src")
    assert {*found[TERMS]} >= {"workload.spiffe.io", "broker.spiffe.io"}
    again = {
        (path, text)
        for path, texts in found.items()
        if path != TERMS
        for text in texts
        if any(text == name or text.startswith(f"{name}.") for name in known)
    }
    assert again == set()
