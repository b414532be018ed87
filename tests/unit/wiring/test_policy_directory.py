"""A directory as the document that is published, beside the other sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.adapters.cedar import compiled
from answerable.adapters.cedar.schema import KINDS
from answerable.adapters.registry_files import read_text
from answerable.core.registry.parsing.active import faults_of, snapshot_of
from answerable.core.registry.parsing.parse import document_key
from answerable.errors import Malformed
from answerable.flows.registry.apply_registry import policy_text
from answerable.testing.samples import document
from answerable.wiring.policy_directory import check_set, compiled_set, schema_for
from answerable.wiring.policy_trials import try_set
from answerable.wiring.policy_yaml import document_text
from tests.worlds.policy_set import SCHEMA, SOUND, checked, registry_documents, set_in, write_schema

READS = """@id("desk.reads")
permit(principal in UseCase::"help-desk", action == Action::"crm.case-read", resource);
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "own"
    made.mkdir()
    (made / "set.yaml").write_text("name: own\n")
    (made / "rules.cedar").write_text(READS)
    write_schema(made)
    return made


@pytest.mark.requirement("SET-06")
@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.name)
def test_a_compiled_set_is_read_again_as_the_same_and_published_as_it_was_checked(path: Path, tmp_path: Path):
    directory = set_in(path, tmp_path)
    found = checked(directory)
    text = document_text(compiled_set(directory))
    read = read_text(text, file="compiled", directory=tmp_path)
    assert read.faults == ()
    assert read.documents == (found.document,)
    documents = [*registry_documents(), *read.documents]
    assert not faults_of(documents)
    snapshot = snapshot_of(documents)
    assert found.snapshot is not None
    assert compiled(policy_text(snapshot), snapshot).policy_set == (
        compiled(policy_text(found.snapshot), found.snapshot).policy_set
    )


@pytest.mark.requirement("SET-06")
def test_texts_that_yaml_could_read_otherwise_come_out_as_they_went_in(folder: Path):
    (folder / "set.yaml").write_text(
        'name: "no"\n'
        "destinations:\n"
        '  - {name: ours, type: name, members: ["012", "1:30", "yes", "~", "a: b #c", "ends :", "\\"q\\""]}\n'
    )
    (folder / "rules.cedar").write_text(READS + "\t// a tab, and trailing blanks   \n\n\n")
    made = compiled_set(folder)
    assert read_text(document_text(made), file="x", directory=folder).documents == (made,)


def test_a_directory_that_cannot_be_read_compiles_to_nothing(folder: Path):
    (folder / "set.yaml").write_text("name: own\ngruops: []\n")
    with pytest.raises(Malformed) as caught:
        compiled_set(folder)
    assert caught.value.code == "set.faults"
    assert "did you mean `groups`" in caught.value.message


def test_the_set_of_the_same_name_is_replaced_and_the_others_stay(folder: Path):
    old = document("PolicySet", "own", {"policies": READS})
    assert not check_set(folder, [*registry_documents(), old]).faults
    other = document("PolicySet", "other", {"policies": READS})
    (fault,) = check_set(folder, [*registry_documents(), other]).faults
    assert (fault.file, fault.line, fault.code) == ("rules.cedar", 1, "policy.id_twice")
    assert "PolicySet/other:1" in fault.message


def test_a_rule_that_another_set_makes_needless_is_refused_and_the_other_one_left_alone(folder: Path):
    wider = READS.replace("desk.reads", "all.reads").replace(
        'action == Action::"crm.case-read"', 'action in Action::"read"'
    )
    other = document("PolicySet", "other", {"policies": wider})
    (fault,) = check_set(folder, [*registry_documents(), other]).faults
    assert (fault.file, fault.code) == ("rules.cedar", "rule.shadowed")
    assert "`all.reads` at PolicySet/other:1" in fault.message


def test_a_tracker_that_another_set_reads_is_read(folder: Path):
    (folder / "set.yaml").write_text("name: own\ntrackers: [{name: reads, over: mandate}]\n")
    write_schema(folder)
    other = document(
        "PolicySet",
        "other",
        {
            "policies": '@id("enough") forbid(principal, action == Action::"crm.case-read", resource) '
            "when { context.history.reads > 9 };"
        },
    )
    assert [one.code for one in checked(folder).faults] == ["tracker.unread"]
    assert not check_set(folder, [*registry_documents(), other]).faults


@pytest.mark.requirement("SET-07")
def test_tables_are_decided_with_the_other_sets(folder: Path):
    (folder / "tests").mkdir()
    (folder / "tests/desk.yaml").write_text(
        'cases:\n  - name: reads\n    given: {agent: desk-agent, capability: crm.case-read, arguments: {case: "1"}}\n'
        "    expect: allow\n"
    )
    assert not try_set(checked(folder)).failed
    stop = document(
        "PolicySet",
        "stop",
        {
            "policies": '@id("stop") forbid(principal, action, resource) when { context.agent.grade == "claimed" };'
        },
    )
    (failed,) = try_set(check_set(folder, [*registry_documents(), stop])).failed
    assert (failed.got, failed.decided) == ("deny", ("stop",))
    assert failed.differences == ("expected allow, got deny: policy stop",)


@pytest.mark.requirement("SET-08")
def test_only_cases_that_hold_cover_a_policy(folder: Path):
    (folder / "tests").mkdir()
    table = folder / "tests/desk.yaml"
    given = '{agent: desk-agent, capability: crm.case-read, arguments: {case: "1"}}'
    case = f"cases:\n  - name: reads\n    given: {given}\n"
    table.write_text(f"{case}    expect: deny\n")
    (fault,) = try_set(checked(folder)).untried_faults()
    assert (fault.file, fault.line, fault.code) == ("rules.cedar", 1, "test.untried")
    table.write_text(f"{case}    expect: allow\n")
    assert not try_set(checked(folder)).untried


def test_a_set_with_faults_is_not_tried(folder: Path):
    (folder / SCHEMA).unlink()
    with pytest.raises(Malformed) as caught:
        try_set(checked(folder))
    assert caught.value.code == "set.faults"


def test_an_unsound_registry_is_said_so_and_the_set_not_blamed(folder: Path):
    broken = [
        *registry_documents(),
        document("Agent", "lost", {"useCase": "nowhere", "environment": "production"}),
    ]
    for attempt in (lambda: check_set(folder, broken), lambda: schema_for(broken, folder)):
        with pytest.raises(Malformed) as caught:
            attempt()
        assert caught.value.code == "registry.faults"


def test_a_rule_too_large_to_follow_passes_and_is_listed(folder: Path):
    either = " && ".join(f"(context.now > {n} || context.task.calls_used > {n})" for n in range(1, 12))
    (folder / "rules.cedar").write_text(READS.replace("resource);", f"resource) when {{ {either} }};"))
    found = checked(folder)
    assert not found.faults
    assert found.untold == ("rules.cedar:1",)


def test_the_schema_of_a_registry_is_the_same_each_time_and_that_of_the_set(folder: Path):
    assert schema_for(registry_documents(), folder) == schema_for(
        tuple(reversed(registry_documents())), folder
    )
    (folder / "set.yaml").write_text("name: own\ntrackers: [{name: reads, over: mandate}]\n")
    assert "reads: __cedar::Long" in schema_for(registry_documents(), folder)
    assert "reads" not in schema_for(registry_documents(), None)


def test_the_world_of_the_corpus_has_no_policy_set_of_its_own():
    assert not [one for one in registry_documents() if document_key(one).startswith("PolicySet/")]


def test_a_permit_that_lists_every_kind_of_action_allows_everything(folder: Path):
    kinds = ", ".join(f'Action::"{kind}"' for kind in KINDS)
    (folder / "rules.cedar").write_text(f'@id("all")\npermit(principal, action in [{kinds}], resource);\n')
    assert [one.code for one in checked(folder).faults] == ["rule.catch_all"]


@pytest.mark.requirement("SET-07")
def test_a_case_that_cannot_be_made_fails_and_says_why(folder: Path):
    (folder / "tests").mkdir()
    (folder / "tests/desk.yaml").write_text(
        "cases:\n  - {name: reads, given: {agent: desk-agent, capability: crm.case-read}, expect: deny}\n"
    )
    (failed,) = try_set(checked(folder)).failed
    assert failed.got == "resource.unknown"
    assert "the resource is unknown" in failed.differences[0]


@pytest.mark.requirement("SET-07")
@pytest.mark.parametrize(
    ("expected", "says"),
    [
        ("by: [stop]", "expected it by stop, got desk.reads"),
        ("obligations: [witnessed]", "expected obligations witnessed, got nothing"),
        ("reason: because", "expected a reason with `because`, got `policy desk.reads`"),
        ('approvers: ["finance:1"]', "expected approvers finance:1, got nothing"),
    ],
)
def test_whatever_comes_out_otherwise_is_told(folder: Path, expected: str, says: str):
    (folder / "stop.cedar").write_text(
        '@id("stop") forbid(principal, action == Action::"crm.case-read", resource) when { context.agent.drifted };\n'
    )
    (folder / "tests").mkdir()
    (folder / "tests/desk.yaml").write_text(
        'cases:\n  - name: reads\n    given: {agent: desk-agent, capability: crm.case-read, arguments: {case: "1"}}\n'
        f"    expect: allow\n    {expected}\n"
    )
    (failed,) = try_set(checked(folder)).failed
    assert failed.differences == (says,)
