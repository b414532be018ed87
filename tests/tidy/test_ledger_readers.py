"""What reads ranges of entries in the process that acts: these modules, each for its reason, and no other."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.tree import Module, modules, parsed

pytestmark = pytest.mark.requirement("HOUSE-92")

READS = frozenset({"replay", "in_turns"})
"""Names of what yields entries of a log, one after another."""
PLACES = ("src/answerable/apps/", "src/answerable/flows/")
ELSEWHERE = (
    "src/answerable/apps/cli/",
    "src/answerable/apps/search_door/",
    "src/answerable/flows/forensics/",
)
"""Rooms of other processes: commands, and the one that answers searches."""

AT_A_START = "at a start, before any door opens"
BEHIND = "in a round or as a task beside actions: what is new since the last time, in turns"
TURNS = "on a request, in turns of at most a third of a core, for as many seconds as a limit says"
FEW = "on a request, a stretch that a limit bounds"
STOP = (
    "for a stop, in turns: what is under a name is decided by the registers of now, and the answer depends on no other "
    "process"
)
REASONS = {
    "flows/approval/keep_figures.py": BEHIND,
    "flows/approval/report_oversight.py": TURNS,
    "flows/containment/lift_hold.py": FEW,
    "flows/containment/scan_stop.py": STOP,
    "flows/counters/keep_history.py": BEHIND,
    "flows/counters/note_uses.py": BEHIND,
    "flows/counters/recall_rules.py": AT_A_START,
    "flows/counters/rule_sources.py": "once a rule fires, in turns: the entries behind its number",
    "flows/drills/run_drill.py": "on a request, in turns: what was written since the drill began, seconds before",
    "flows/entries/keep_citations.py": AT_A_START,
    "flows/ledger/announce.py": BEHIND,
    "flows/ledger/publish_set_checkpoint.py": BEHIND,
    "flows/policy/shadow_policy.py": BEHIND,
    "flows/recording/keep_budgets.py": AT_A_START,
    "flows/recording/paced_reading.py": "makes the turns of others",
    "flows/recovery/restore_ended_authority.py": AT_A_START,
    "flows/revocation/recall_leases.py": AT_A_START,
    "flows/revocation/trace_effects.py": STOP,
    "flows/trust_domain/issued_svids.py": "on a request, in a thread: what is new since the request before",
    "flows/workloads/require_subject_keys.py": AT_A_START,
    "flows/workloads/watch_clock.py": AT_A_START,
}


def reads_ranges(module: Module) -> bool:
    """Whether a module calls what yields entries of a log."""
    return not READS.isdisjoint(_called(one) for one in module.nodes)


def _called(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
            return name
    return ""


def test_only_those_that_are_named_read_ranges_of_entries_in_the_process_that_acts() -> None:
    found = {
        one.path.removeprefix("src/answerable/")
        for one in modules("src")
        if one.path.startswith(PLACES) and not one.path.startswith(ELSEWHERE) and reads_ranges(one)
    }
    assert found == REASONS.keys()


def test_a_module_that_reads_is_told_from_one_that_does_not() -> None:
    told = {
        "for one in call.walk.recorder.ledger.replay(3): pass": True,
        "found = [one async for one in in_turns(ledger, clock, 0, 1.0)]": True,
        "one = ledger.entry(3)": False,
    }
    assert {text: reads_ranges(parsed("x.py", text)) for text in told} == told
