"""Read a policy set from its directory: check the file names and that the files contain no deceptive characters.

    set.yaml               name, groups, and what the set declares beside its policies
    *.cedar                policies, at any depth but under tests, in order of their paths
    schema.cedarschema     generated from the registry when the policies were written
    tests/*.yaml           tables of decisions that the set must yield
    README.md              for people; not read

All other names, links, and characters that hide or reorder what a reviewer sees are refused. Cedar ends a comment at a
carriage return, where most editors show no line end: so a carriage return without a line feed is refused, too.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.adapters.registry_files.strict_yaml import load_documents
from answerable.core.registry.policy_sets.policy_fault import PolicyFault
from answerable.core.registry.tools.unseen import odd_spaces_in, unseen_in
from answerable.errors import shown
from answerable.errors.codes.ledger import SET_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.adapters.registry_files.strict_yaml import YAMLDocument

SET_FILE: Final = "set.yaml"
SCHEMA_FILE: Final = "schema.cedarschema"
TESTS_FOLDER: Final = "tests"
READ_BY_PEOPLE: Final = "README.md"
POLICY_SUFFIX: Final = ".cedar"
TEST_SUFFIX: Final = ".yaml"
FILES_MAX: Final = 1000
FILE_BYTES_MAX: Final = 1_048_576
DEPTH_MAX: Final = 8

_PARTS: Final = (SET_FILE, f"policies{POLICY_SUFFIX}", SCHEMA_FILE, READ_BY_PEOPLE)
_SUFFIXES: Final = (POLICY_SUFFIX, ".cedarschema", TEST_SUFFIX)
_FEW: Final = 3
"""Faults of hidden characters reported for one file."""
_RETURN: Final = re.compile(r"\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file as text. name: relative to the directory."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class YAMLFile:
    """A file with one YAML document."""

    name: str
    document: YAMLDocument

    def line_of(self, path: str) -> int:
        """Return the line of a JSON pointer, or of the nearest enclosing node that exists."""
        lines = self.document.lines
        while path and path not in lines:
            path = path.rpartition("/")[0]
        return lines.get(path, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDirectory:
    """The content of a directory. head: None if it could not be read; faults say why."""

    head: YAMLFile | None
    policies: tuple[SourceFile, ...]
    schema: SourceFile | None
    tests: tuple[YAMLFile, ...]
    faults: tuple[PolicyFault, ...]


@dataclass(slots=True, kw_only=True)
class _Reader:
    root: Path
    faults: list[PolicyFault] = field(default_factory=list)

    def fault(self, file: str, line: int, code: str, message: str) -> None:
        self.faults.append(PolicyFault(file=file, line=line, code=code, message=message))

    def text(self, name: str) -> str | None:
        """Return the text of a file; None after recording a fault."""
        try:
            with (self.root / name).open("rb") as opened:
                octets = opened.read(FILE_BYTES_MAX + 1)
            if len(octets) > FILE_BYTES_MAX:
                self.fault(name, 1, "set.file_size", f"more than {FILE_BYTES_MAX} bytes: split the file")
                return None
            text = octets.decode("utf-8")
        except OSError as error:
            self.fault(name, 1, "set.file", f"cannot be read: {(error.strerror or 'unknown').lower()}")
            return None
        except UnicodeDecodeError as error:
            line = octets[: error.start].count(b"\n") + 1
            self.fault(name, line, "set.encoding", "not UTF-8: save the file as UTF-8")
            return None
        text = text.replace("\r\n", "\n")
        hidden = list(_hidden(text))
        for line, what in hidden[:_FEW]:
            message = f"{what} hides what the file says: write it as an escape in quotes, or remove it"
            self.fault(name, line, "set.hidden_character", message)
        return None if hidden else text

    def yaml(self, name: str) -> YAMLFile | None:
        """Return the only document of a file; None after recording a fault."""
        text = self.text(name)
        if text is None:
            return None
        documents, faults = load_documents(text)
        for fault in faults:
            self.fault(name, fault.line, "set.yaml", fault.message)
        if not faults and len(documents) != 1:
            message = f"expected one YAML document, got {len(documents)}"
            self.fault(name, 1, "set.yaml", f"{message}: give each its own file" if documents else message)
        return YAMLFile(name=name, document=documents[0]) if documents and not faults else None


def read_set(directory: Path) -> SetDirectory:
    """Read all files of a set. Raises Malformed (`set.directory`) if there is no directory; all else is in the
    faults."""
    if not directory.is_dir():
        raise SET_DIRECTORY(f"{shown(str(directory))} is not a directory")
    reader = _Reader(root=directory)
    names = sorted(_names(directory, reader))
    for name in names:
        if (why := _out_of_place(name)) is not None:
            reader.fault(name, 1, "set.file_unknown", why)
    own = [name for name in names if _out_of_place(name) is None]
    if names and SET_FILE not in own:
        reader.fault(
            SET_FILE, 1, "set.file_missing", f"there is no {SET_FILE}: write one with the set's `name`"
        )
    policies = [name for name in own if name.endswith(POLICY_SUFFIX)]
    if not policies:
        reader.fault(
            SET_FILE, 1, "set.file_missing", f"there is no policy: write a file that ends in {POLICY_SUFFIX}"
        )
    texts = [SourceFile(name=name, text=text) for name in policies if (text := reader.text(name)) is not None]
    tests = [
        one for name in own if name.startswith(f"{TESTS_FOLDER}/") and (one := reader.yaml(name)) is not None
    ]
    schema = reader.text(SCHEMA_FILE) if SCHEMA_FILE in own else None
    return SetDirectory(
        head=reader.yaml(SET_FILE) if SET_FILE in own else None,
        policies=tuple(texts),
        schema=None if schema is None else SourceFile(name=SCHEMA_FILE, text=schema),
        tests=tuple(tests),
        faults=tuple(reader.faults),
    )


def _names(directory: Path, reader: _Reader) -> Iterator[str]:
    """Yield every file at any depth without following links. Links and files nested too deeply are faults."""
    pending = [""]
    seen = 0
    while pending:
        below = pending.pop()
        try:
            entries = list(islice(os.scandir(directory / below), FILES_MAX + 1))
        except OSError as error:
            said = (error.strerror or "unknown").lower()
            reader.fault(below or SET_FILE, 1, "set.file", f"cannot be read: {said}")
            continue
        for entry in entries:
            name = f"{below}{entry.name}"
            seen += 1
            if seen > FILES_MAX:
                message = f"more than {FILES_MAX} files and folders: the rest was not looked at"
                reader.fault(SET_FILE, 1, "set.file_count", message)
                return
            if entry.is_symlink():
                reader.fault(
                    name, 1, "set.file_link", "a link: a set is reviewed as it stands, so copy the file"
                )
            elif entry.is_dir(follow_symlinks=False):
                if name.count("/") + 1 >= DEPTH_MAX:
                    reader.fault(name, 1, "set.file_unknown", f"folders deeper than {DEPTH_MAX}")
                elif entry.name.startswith("."):
                    reader.fault(name, 1, "set.file_unknown", "a hidden folder: keep it outside the set")
                else:
                    pending.append(f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                reader.fault(name, 1, "set.file_unknown", "neither file nor folder")


def _out_of_place(name: str) -> str | None:
    """Return why a file does not belong in a set, with a guess at the intended name; None if it does."""
    folder, _, file = name.rpartition("/")
    in_tests = folder == TESTS_FOLDER or folder.startswith(f"{TESTS_FOLDER}/")
    if file.startswith("."):
        return "a hidden file: a set has none, so remove it"
    if in_tests:
        if file.endswith(TEST_SUFFIX):
            return None
        return f"under {TESTS_FOLDER} are only tables of decisions that end in `{TEST_SUFFIX}`"
    if file.endswith(POLICY_SUFFIX) or name in (SET_FILE, SCHEMA_FILE, READ_BY_PEOPLE):
        return None
    near = get_close_matches(folder.partition("/")[0], (TESTS_FOLDER,), n=1, cutoff=0.7)
    if near and file.endswith(TEST_SUFFIX):
        return f"not a file of a policy set; did you mean the folder `{TESTS_FOLDER}`?"
    stem, _, suffix = file.rpartition(".")
    by_name = get_close_matches(file, _PARTS, n=1, cutoff=0.75)
    by_suffix = get_close_matches(f".{suffix}", _SUFFIXES, n=1, cutoff=0.7)
    meant = by_name or (
        [f"{stem}{by_suffix[0]}"] if by_suffix and stem and by_suffix[0] == POLICY_SUFFIX else []
    )
    if meant:
        return f"not a file of a policy set; did you mean `{meant[0]}`?"
    listed = f"{SET_FILE}, *{POLICY_SUFFIX}, {SCHEMA_FILE}, {TESTS_FOLDER}/*{TEST_SUFFIX}, {READ_BY_PEOPLE}"
    return f"not a file of a policy set; known here: {listed}"


def _hidden(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of every character that is invisible or looks like another."""
    found = [*unseen_in(text), *odd_spaces_in(text), *((one.start(), "\r") for one in _RETURN.finditer(text))]
    for at, character in sorted(found):
        name = unicodedata.name(character, "control character").lower()
        yield text.count("\n", 0, at) + 1, f"U+{ord(character):04X} ({name})"
