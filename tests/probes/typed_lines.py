"""Command lines typed at the whole command line, in process.

The tree of commands is put together once in a process: that takes a tenth of a second, and most lines less. One line
at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from typer import Typer, testing

from answerable.apps.cli.application import command_line
from answerable.apps.cli.on_demand import command_tree

if TYPE_CHECKING:
    from answerable.apps.cli.control import Offline

_offline: list[Offline] = []


def typed(offline: Offline, line: Sequence[str], *, stdin: str | None = None) -> testing.Result:
    """What came of a line. offline: opens the control application on a data directory."""
    _offline[:] = [offline]
    with patch.object(testing, "_get_command", return_value=_commands()):
        return testing.CliRunner().invoke(Typer(), line, input=stdin)


@cache
def _commands() -> Any:
    return command_tree(command_line(_opened))


def _opened(settings: Any) -> AbstractAsyncContextManager[Any]:
    return _offline[0](settings)
