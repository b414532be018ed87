"""The rules of the house, held against every file."""

from __future__ import annotations

import pytest

import doc_links
from tests.tidy import faults, rules, timing
from tests.tidy.answers import answers, found
from tests.tidy.tree import modules, texts

SOURCE = ("src",)
OURS = ("src", "tools", "examples", "benchmarks")
EVERYTHING = (*OURS, "tests")


def none(told: list[str]) -> None:
    assert not told, "\n".join(["", *told])


def test_names_say_something():
    none(found(faults.names, *OURS))


def test_pure_rooms_name_no_clock_chance_or_environment():
    none(found(faults.world, *SOURCE))


def test_core_imports_only_what_its_list_allows():
    none(found(faults.core_imports, *SOURCE))


def test_ports_know_only_core():
    none(found(faults.room_imports, *SOURCE))


def test_every_port_states_its_promises():
    none(found(faults.ports, *SOURCE))


def test_values_of_the_walk_are_made_in_one_place():
    none(found(faults.makers, *SOURCE))


@pytest.mark.requirement("HOUSE-72")
def test_only_a_commit_takes_budgets_approvals_and_prepared_objects():
    none(found(faults.takers, *SOURCE))


def test_functions_fit_a_screen_and_modules_hold_one_idea():
    listed = {*rules.LONG_MODULES, *(entry.partition(":")[0] for entry in rules.LONG_FUNCTIONS)}
    gone = listed - {module.path for module in modules(*EVERYTHING)}
    none(
        found(faults.sizes, *EVERYTHING) + [f"{path}: is gone; take it off the list" for path in sorted(gone)]
    )


def test_every_note_to_self_names_an_issue():
    none([fault for path, text in _own_texts() for fault in faults.leftovers(path, text)])


def test_no_file_names_a_machine_or_a_registry():
    none([fault for path, text in _own_texts() for fault in faults.places(path, text)])


def test_locks_name_no_registry_and_hash_every_file():
    for path, text in texts():
        if path.endswith(rules.LOCK_SUFFIX):
            none(faults.places(path, text))
            pinned = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
            hashed = text.count(" \\\n    --hash=sha256:")
            assert 0 < len(pinned) <= hashed, path


@pytest.mark.requirement("FAST-03")
def test_no_test_asserts_how_long_something_took():
    none(found(timing.timed_assertions, "tests"))


@pytest.mark.requirement("FAST-04")
def test_tests_wait_for_what_happens_and_not_for_a_while():
    none(found(timing.bare_sleeps, "tests"))
    kept = {path: len(sleeps) for path, sleeps in answers(timing.sleeps, "tests").items()}
    listed = rules.SLEEPS_FOR_A_REASON
    none(
        [
            f"{path}: has {kept.get(path)} of {count} sleeps: take them off the list"
            for path, (count, _) in listed.items()
            if kept.get(path) != count
        ]
    )


def test_what_documents_point_at_exists():
    none([fault for document in doc_links.documents() for fault in doc_links.faults_of(document)])


def _own_texts() -> list[tuple[str, str]]:
    return [
        (path, text)
        for path, text in texts()
        if not path.startswith(rules.TEXTS_OF_OTHERS) and not path.endswith(rules.LOCK_SUFFIX)
    ]
