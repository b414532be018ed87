"""What changes between two sets of documents."""

from __future__ import annotations

import copy

from answerable.adapters.registry_files import Change, diff
from answerable.core.registry.parsing.active import stored_form
from answerable.testing.samples import document, registry_documents


def test_equal_sets_have_no_changes():
    assert diff(stored_form(registry_documents()), stored_form(registry_documents())) == []


def test_changes_are_told_field_by_field_in_order_of_name():
    documents = copy.deepcopy(registry_documents())
    old = stored_form(documents)
    documents[5]["spec"]["tier"] = 2
    documents[5]["spec"]["title"] = "read a case"
    del documents[5]["spec"]["arguments"]
    documents[8]["spec"]["policies"] = '@id("all")\npermit (principal, action, resource)\nwhen { true };\n'
    del documents[1]
    documents.append(document("Server", "erp", {"url": "http://127.0.0.1/"}))
    assert diff(old, stored_form(documents)) == [
        Change(
            kind="changed",
            key="Capability/crm.read",
            lines=(
                'spec.arguments: [{"name":"case","required":true,"type":"string"}] → nothing',
                "spec.tier: 1 → 2",
                "spec.title: read a case",
            ),
        ),
        Change(
            kind="changed",
            key="PolicySet/house",
            lines=(
                "spec.policies:",
                "  @@ -1,2 +1,3 @@",
                '   @id("all")',
                "  -permit (principal, action, resource);",
                "  +permit (principal, action, resource)",
                "  +when { true };",
            ),
        ),
        Change(kind="removed", key="Principal/bob", lines=()),
        Change(
            kind="added",
            key="Server/erp",
            lines=(
                "apiVersion: answerable/v1",
                "kind: Server",
                "metadata.name: erp",
                "spec.url: http://127.0.0.1/",
            ),
        ),
    ]


def test_long_values_are_cut_and_control_characters_not_printed():
    old = stored_form([document("UseCase", "x", {"purpose": "a"})])
    new = stored_form([document("UseCase", "x", {"purpose": "\u001b[31m" + "b" * 300})])
    (change,) = diff(old, new)
    assert change.lines[0].startswith("spec.purpose: a →  [31mbbb")
    assert change.lines[0].endswith("…")
    assert "\u001b" not in change.lines[0]
    assert len(change.lines[0]) < 250


def test_true_and_one_are_not_the_same():
    old = stored_form([document("UseCase", "x", {"purpose": True})])
    new = stored_form([document("UseCase", "x", {"purpose": 1})])
    assert diff(old, new)[0].lines == ("spec.purpose: true → 1",)
