"""The `answerable` command."""

from __future__ import annotations

import sys

from answerable.apps.cli.exit_codes import USAGE
from answerable.apps.cli.terminal import Terminal
from answerable.errors import Malformed
from answerable.main.commands import application
from answerable.main.standard_streams import open_closed, text_of


def run() -> None:
    """Entry point of the installed command."""
    open_closed()
    terminal = Terminal()
    try:
        sys.argv[1:] = text_of(sys.argv[1:])
    except Malformed as error:
        terminal.fault(error.message)
        raise SystemExit(USAGE) from None
    application()(prog_name="answerable")
