"""Read configuration files of this machine, without changing them."""

from __future__ import annotations

from answerable.adapters.standing_files.walking import LocalConfigurationFiles

__all__ = ["LocalConfigurationFiles"]
