"""Read registry documents from YAML files and directories, with the position of every fault.

References to files are resolved here, relative to the document, so that the stored document is self-contained: a policy
set's `file: x.cedar` becomes its `policies`; `keyFile: x.jwk` is added to `keys`; a stdio server's `cwd` becomes
absolute, its document's directory by default; `file:` references in its `env` become absolute.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.adapters.registry_files.strict_yaml import load_documents
from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import DOCUMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.adapters.registry_files.strict_yaml import YAMLDocument
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.fields import Fault

FILES_MAX: Final = 1000
FILE_BYTES_MAX: Final = 1_048_576
KEY_FILE_BYTES_MAX: Final = 4096
SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a document comes from. lines: line of each node by JSON pointer, counted from 1."""

    file: str
    lines: dict[str, int]

    def line_of(self, path: str) -> int:
        """Return the line of a JSON pointer, or of the nearest enclosing node that exists."""
        while path and path not in self.lines:
            path = path.rpartition("/")[0]
        return self.lines.get(path, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The result of reading. documents and origins correspond by index. faults: `file:line: message`, for what could
    not be read."""

    documents: tuple[JSONValue, ...]
    origins: tuple[Origin, ...]
    faults: tuple[str, ...]

    def located(self, fault: Fault) -> str:
        """Format a fault of these documents as `file:line: message`; a missing or unknown key is located at its
        parent."""
        if fault.document >= len(self.origins):
            return fault.message
        origin = self.origins[fault.document]
        return f"{origin.file}:{origin.line_of(fault.path)}: {fault.message}"


@dataclass(slots=True, kw_only=True)
class _Reader:
    documents: list[JSONValue] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, text: str, *, file: str, directory: Path) -> None:
        documents, faults = load_documents(text)
        self.faults += [f"{file}:{fault.line}: {fault.message}" for fault in faults]
        for document in documents:
            origin = Origin(file=file, lines=document.lines)
            self.documents.append(self._resolved(document, origin, directory))
            self.origins.append(origin)

    def _resolved(self, document: YAMLDocument, origin: Origin, directory: Path) -> JSONValue:
        value = document.value
        spec = value.get("spec") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(spec, dict):
            return value
        kind = value.get("kind")
        if kind == "PolicySet" and isinstance(name := spec.get("file"), str) and "policies" not in spec:
            text = self._read(name, directory, (".cedar",), FILE_BYTES_MAX, origin, "/spec/file")
            del spec["file"]
            origin.lines["/spec/policies"] = origin.line_of("/spec/file")
            spec["policies"] = "" if text is None else text.decode("utf-8")
        elif kind in ("Principal", "Agent", "Application", "Schedule", "Workflow") and isinstance(
            name := spec.get("keyFile"), str
        ):
            self._take_key_file(spec, name, directory, origin)
        elif kind == "Server" and "command" in spec:
            _place_server(spec, directory)
        return value

    def _take_key_file(self, spec: dict[str, JSONValue], name: str, directory: Path, origin: Origin) -> None:
        del spec["keyFile"]
        octets = self._read(name, directory, (".jwk", ".json"), KEY_FILE_BYTES_MAX, origin, "/spec/keyFile")
        if octets is None:
            return
        try:
            key = parse(octets, limits=Limits(size_bytes_max=KEY_FILE_BYTES_MAX, depth_max=3))
        except Malformed as error:
            self._fault(origin, "/spec/keyFile", f"{shown(name)}: {error.message}")
            return
        keys = spec.setdefault("keys", [])
        if isinstance(keys, list):
            origin.lines[f"/spec/keys/{len(keys)}"] = origin.line_of("/spec/keyFile")
            keys.append(key)

    def _read(
        self, name: str, directory: Path, suffixes: tuple[str, ...], bytes_max: int, origin: Origin, path: str
    ) -> bytes | None:
        """Return the bytes of a file beside a document; None after recording a fault."""
        relative = Path(name)
        if relative.is_absolute() or relative.suffix not in suffixes:
            self._fault(
                origin, path, f"{shown(name)} is not a relative path that ends in {' or '.join(suffixes)}"
            )
            return None
        try:
            octets = _bounded(directory / relative, bytes_max)
            octets.decode("utf-8")
        except (OSError, UnicodeDecodeError, Malformed) as error:
            self._fault(origin, path, f"cannot read {shown(name)}: {_why(error)}")
            return None
        return octets

    def _fault(self, origin: Origin, path: str, message: str) -> None:
        self.faults.append(f"{origin.file}:{origin.line_of(path)}: {message}")


def read_paths(paths: Sequence[Path]) -> Reading:
    """Read files and, in directories, every `*.yaml` and `*.yml` at any depth except hidden ones, in order of name.

    Never raises: what cannot be read is in `faults`. Duplicate keys, tags and aliases are faults.
    """
    reader = _Reader()
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = _files_below(path)
            if not found:
                reader.faults.append(f"{path}: no file that ends in .yaml or .yml")
            files += found
        else:
            files.append(path)
    if len(files) > FILES_MAX:
        reader.faults.append(f"{len(files)} files, expected at most {FILES_MAX}")
        files = []
    for file in files:
        try:
            text = _bounded(file, FILE_BYTES_MAX).decode("utf-8")
        except (OSError, UnicodeDecodeError, Malformed) as error:
            reader.faults.append(f"{file}: cannot be read: {_why(error)}")
            continue
        reader.take(text, file=str(file), directory=file.parent.resolve())
    return _result(reader)


def read_text(text: str, *, file: str, directory: Path) -> Reading:
    """Read one text, such as standard input, like `read_paths`. file: its name in faults."""
    reader = _Reader()
    reader.take(text, file=file, directory=directory.resolve())
    return _result(reader)


def _result(reader: _Reader) -> Reading:
    return Reading(
        documents=tuple(reader.documents), origins=tuple(reader.origins), faults=tuple(reader.faults)
    )


def _files_below(directory: Path) -> list[Path]:
    """List the files in order of name, without following links to directories."""
    found: list[Path] = []
    for parent, below, names in os.walk(directory):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [
            Path(parent, name) for name in names if name.endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _bounded(file: Path, bytes_max: int) -> bytes:
    with file.open("rb") as opened:
        octets = opened.read(bytes_max + 1)
    if len(octets) > bytes_max:
        raise DOCUMENT_SIZE(f"more than {bytes_max} bytes")
    return octets


def _place_server(spec: dict[str, JSONValue], directory: Path) -> None:
    """Make relative paths of a stdio server absolute, so that it runs the same wherever the gateway is started."""
    cwd = spec.get("cwd", ".")
    if isinstance(cwd, str) and cwd:
        spec["cwd"] = os.path.normpath(directory / cwd)
    env = spec.get("env")
    if isinstance(env, dict):
        for name, value in env.items():
            if isinstance(value, str) and value.startswith("file:") and len(value) > len("file:"):
                env[name] = f"file:{os.path.normpath(directory / value.removeprefix('file:'))}"


def _why(error: OSError | UnicodeDecodeError | Malformed) -> str:
    match error:
        case Malformed(message=message):
            return message
        case OSError(strerror=str(reason)):
            return reason.lower()
        case UnicodeDecodeError():
            return "not UTF-8"
    return "cannot be opened"
