"""Read SPIFFE trust bundles from local files."""

from __future__ import annotations

from answerable.adapters.bundle_files.source import FileBundle

__all__ = ["FileBundle"]
