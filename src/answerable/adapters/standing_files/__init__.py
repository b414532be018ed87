"""Configuration files of this machine, read once and left as they are."""

from __future__ import annotations

from answerable.adapters.standing_files.walking import LocalConfigurationFiles

__all__ = ["LocalConfigurationFiles"]
