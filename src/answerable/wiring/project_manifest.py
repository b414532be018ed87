"""Manifests for the commands: collect a project's measurements, and parse AgentManifest documents in YAML."""

from __future__ import annotations

from pathlib import Path

from answerable.adapters.project_files import (
    ClientServer,
    Collected,
    CollectLimits,
    FoundField,
    ProgramFile,
    collected,
)
from answerable.adapters.registry_files import read_text
from answerable.core.registry.manifests.manifest import Manifest, manifest_in
from answerable.errors import shown
from answerable.errors.codes.registry import MANIFEST_MALFORMED

__all__ = [
    "ClientServer",
    "CollectLimits",
    "Collected",
    "FoundField",
    "ProgramFile",
    "collected",
    "manifest_from_text",
]


def manifest_from_text(text: str, *, file: str) -> Manifest:
    """Return the one AgentManifest in a YAML or JSON text. JSON is parsed as YAML; duplicate members are faults in
    both.

    Raises Malformed (`manifest.malformed`, with file and line where the text cannot be read).
    """
    reading = read_text(text, file=file, directory=Path())
    if reading.faults:
        more = f" (and {len(reading.faults) - 1} more faults)" if len(reading.faults) > 1 else ""
        raise MANIFEST_MALFORMED(f"{reading.faults[0]}{more}")
    if len(reading.documents) != 1:
        raise MANIFEST_MALFORMED(
            f"{shown(file)} holds {len(reading.documents)} documents, expected one AgentManifest"
        )
    return manifest_in(reading.documents[0])
