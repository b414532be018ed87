"""The door for people: pages drawn on the server, on a listener that agents have no way to."""

from __future__ import annotations

from answerable.apps.console.application import console_app
from answerable.apps.console.services import ConsoleLimits, ConsoleServices

__all__ = ["ConsoleLimits", "ConsoleServices", "console_app"]
