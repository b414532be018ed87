"""Store the state of a witness in files."""

from __future__ import annotations

from answerable.adapters.witness_files.keys import publish_keys, published_keys
from answerable.adapters.witness_files.register import FilesWitnessRegister

__all__ = ["FilesWitnessRegister", "publish_keys", "published_keys"]
