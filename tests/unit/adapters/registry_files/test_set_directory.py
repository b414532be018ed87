"""Reading a policy set from its directory: nothing hides, nothing is followed, nothing is too much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from answerable.adapters.registry_files import set_directory
from answerable.adapters.registry_files.set_directory import read_set
from answerable.errors import Malformed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "own"
    made.mkdir()
    (made / "set.yaml").write_text("name: own\n")
    (made / "rules.cedar").write_text("permit(principal, action, resource);\n")
    return made


def faults(folder: Path) -> list[tuple[str, int, str]]:
    return [(one.file, one.line, one.code) for one in read_set(folder).faults]


def test_a_set_is_read_whole_and_in_the_order_of_its_paths(folder: Path):
    (folder / "b").mkdir()
    (folder / "b/first.cedar").write_text("b")
    (folder / "a.cedar").write_text("a")
    (folder / "tests").mkdir()
    (folder / "tests/one.yaml").write_text("cases: []\n")
    (folder / "README.md").write_text("anything \u202e at all")
    (folder / "schema.cedarschema").write_text("entity A;\n")
    found = read_set(folder)
    assert not found.faults
    assert [one.name for one in found.policies] == ["a.cedar", "b/first.cedar", "rules.cedar"]
    assert [one.name for one in found.tests] == ["tests/one.yaml"]
    assert found.schema is not None
    assert found.head is not None
    assert found.head.document.value == {"name": "own"}


def test_no_directory_is_an_error_of_its_own(tmp_path: Path):
    with pytest.raises(Malformed) as caught:
        read_set(tmp_path / "none")
    assert caught.value.code == "set.directory"


def test_links_are_refused_and_not_followed(folder: Path, tmp_path: Path):
    outside = tmp_path / "outside.cedar"
    outside.write_text("permit(principal, action, resource);\n")
    (folder / "linked.cedar").symlink_to(outside)
    (folder / "more").symlink_to(tmp_path, target_is_directory=True)
    found = read_set(folder)
    assert sorted(faults(folder)) == [("linked.cedar", 1, "set.file_link"), ("more", 1, "set.file_link")]
    assert [one.name for one in found.policies] == ["rules.cedar"]


def test_what_is_no_file_is_refused_without_being_opened(folder: Path):
    os.mkfifo(folder / "pipe.cedar")
    assert faults(folder) == [("pipe.cedar", 1, "set.file_unknown")]


def test_hidden_and_deep_folders_are_refused(folder: Path):
    (folder / ".git").mkdir()
    deep = folder.joinpath(*"abcdefghi")
    deep.mkdir(parents=True)
    assert sorted(faults(folder)) == [
        (".git", 1, "set.file_unknown"),
        ("a/b/c/d/e/f/g/h", 1, "set.file_unknown"),
    ]


def test_a_file_beyond_its_bound_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(set_directory, "FILE_BYTES_MAX", 16)
    (folder / "rules.cedar").write_text("// " + "x" * 20)
    assert faults(folder) == [("rules.cedar", 1, "set.file_size")]


def test_too_many_files_are_one_fault(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(set_directory, "FILES_MAX", 1)
    assert ("set.yaml", 1, "set.file_count") in faults(folder)


def test_lines_that_end_as_on_windows_are_lines(folder: Path):
    (folder / "rules.cedar").write_bytes(b"// one\r\npermit(principal, action, resource);\r\n")
    found = read_set(folder)
    assert not found.faults
    assert found.policies[0].text == "// one\npermit(principal, action, resource);\n"


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\u200b", "\u00ad", "\ufeff", "\x00", "\x1b", "\r", "\u2028"]
)
def test_a_character_that_hides_something_is_refused_in_every_file(folder: Path, character: str):
    (folder / "tests").mkdir()
    for name in ("rules.cedar", "set.yaml", "schema.cedarschema", "tests/one.yaml"):
        (folder / name).write_bytes(f"// a\n// b{character}c\n".encode())
        assert (name, 2, "set.hidden_character") in faults(folder)


def test_letters_of_every_script_are_welcome(folder: Path):
    (folder / "rules.cedar").write_text("// Grüße, привет, 你好, γειά, שלום, こんにちは, 한글, € — “”\n")
    assert not read_set(folder).faults
