"""The corpus of policy sets in directories, and the registry that they are checked against."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from answerable.adapters.registry_files import read_paths
from answerable.adapters.registry_files.strict_yaml import load_documents
from answerable.core.canonical import JSONValue
from answerable.errors import Malformed
from answerable.wiring.policy_directory import CheckedSet, check_set, schema_for

FILES_READ = ("tests/policy_sets/**/*",)
CORPUS = Path(__file__).parents[1] / "policy_sets"
REGISTRY = CORPUS / "registry"
SOUND = sorted(path for path in (CORPUS / "sound").iterdir() if path.is_dir())
BROKEN = sorted(path for path in (CORPUS / "broken").iterdir() if path.is_dir())
SCHEMA = "schema.cedarschema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One fault that a broken set must be refused with. says: part of its message."""

    code: str
    file: str
    line: int
    says: str


@cache
def registry_documents() -> tuple[JSONValue, ...]:
    """All documents of the registry of the corpus."""
    reading = read_paths([REGISTRY])
    assert not reading.faults
    return reading.documents


def expected_of(path: Path) -> tuple[Expected, ...]:
    """The faults that `expected.yaml` lists, in order."""
    return tuple(Expected(**row) for row in _expected(path)["faults"])


def set_in(path: Path, place: Path) -> Path:
    """A copy of a set of the corpus, with its schema, which is not kept ninety times but where a case is about it."""
    own = path / "set"
    copied = place / path.name
    shutil.copytree(own if own.is_dir() else path, copied, symlinks=True)
    if own.is_dir() and _expected(path).get("schema") == "as_it_is":
        return copied
    write_schema(copied)
    return copied


def write_schema(directory: Path) -> None:
    """The schema of the corpus' registry and of what the set declares, if that can be read."""
    try:
        text = schema_for(registry_documents(), directory)
    except Malformed:
        text = schema_for(registry_documents(), None)
    (directory / SCHEMA).write_text(text, encoding="utf-8")


def checked(directory: Path) -> CheckedSet:
    """Checked against the registry of the corpus."""
    return check_set(directory, registry_documents())


@cache
def _expected(path: Path):
    (document,), faults = load_documents((path / "expected.yaml").read_text(encoding="utf-8"))
    assert not faults
    return document.value
