"""Read registry documents from YAML files, strictly, and describe the changes between two sets."""

from __future__ import annotations

from answerable.adapters.registry_files.difference import Change, diff
from answerable.adapters.registry_files.reading import Reading, read_paths, read_text

__all__ = ["Change", "Reading", "diff", "read_paths", "read_text"]
