"""TOML that no tree can be made of is said to be none, whatever is absurd in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.errors import Malformed
from answerable.wiring.settings import parse_settings
from answerable.wiring.target_files import checked_targets
from answerable.wiring.toml_text import TOMLDecodeError, toml_in

ABSURD = [f"port = {'9' * 5000}\n", f"port = {'[' * 3000}{']' * 3000}\n", f"port = {'[' * 100_000}\n"]


@pytest.mark.requirement("WORDS-10")
@pytest.mark.parametrize("text", ABSURD)
def test_a_number_or_a_nesting_that_cannot_be_read_is_one_fault_of_the_settings(text: str) -> None:
    settings, found = parse_settings(f"[gateway]\n{text}".encode(), data=Path("/data"))
    assert settings is None
    assert [fault.message for fault in found] == [
        "not TOML: a number is too long, or brackets are nested too deep"
    ]


@pytest.mark.requirement("WORDS-10")
@pytest.mark.parametrize("text", ABSURD)
def test_and_of_the_file_of_a_target(text: str, tmp_path: Path) -> None:
    (tmp_path / "crm.toml").write_text(text)
    with pytest.raises(Malformed, match=r"crm\.toml.*not TOML: a number is too long"):
        checked_targets(tmp_path)


def test_what_is_toml_is_read_as_ever() -> None:
    assert toml_in("a = 1\n") == {"a": 1}
    with pytest.raises(TOMLDecodeError, match="line 1"):
        toml_in("a = = 1")
