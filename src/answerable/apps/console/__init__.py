"""The web console for people: server-rendered pages, on a listener that agents cannot reach."""

from __future__ import annotations

from answerable.apps.console.application import console_app
from answerable.apps.console.services import ConsoleLimits, ConsoleServices

__all__ = ["ConsoleLimits", "ConsoleServices", "console_app"]
