"""Every broken policy set of the corpus is refused for what is wrong with it, and every sound one passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.wiring.policy_trials import try_set
from tests.worlds.policy_set import BROKEN, SOUND, checked, expected_of, set_in


@pytest.mark.requirement("SET-01")
@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.name)
def test_a_broken_set_is_refused_with_file_line_code_and_what_was_meant(path: Path, tmp_path: Path):
    found = checked(set_in(path, tmp_path)).faults
    expected = expected_of(path)
    assert [(one.file, one.line, one.code) for one in found] == sorted(
        (one.file, one.line, one.code) for one in expected
    ), "\n".join(map(str, found))
    for one in expected:
        same = [
            fault.message for fault in found if (fault.file, fault.line, fault.code) == (one.file, one.line, one.code)
        ]
        assert any(one.says in message for message in same), same
        assert all("\n" not in message and message == message.strip() for message in same)


@pytest.mark.requirement("SET-01")
def test_the_corpus_has_at_least_sixty_broken_sets():
    assert len(BROKEN) >= 60


@pytest.mark.requirement("SET-02")
@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.name)
def test_a_sound_set_passes_and_its_tables_hold(path: Path, tmp_path: Path):
    found = checked(set_in(path, tmp_path))
    assert not found.faults, "\n".join(map(str, found.faults))
    tried = try_set(found)
    assert not tried.failed
    assert not tried.untried
    assert len(tried.tried) >= len(found.policies)
