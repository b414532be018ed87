"""The `answerable` command: the whole command line, or the light one if a package of the server is missing."""

from __future__ import annotations

import sys

from answerable.apps.cli.exit_codes import USAGE
from answerable.apps.cli.terminal import Terminal
from answerable.errors import Malformed
from answerable.extras import SERVER, is_here
from answerable.main.standard_streams import open_closed, text_of


def run() -> None:
    """Run the installed command."""
    open_closed()
    is_whole = all(map(is_here, SERVER))
    try:
        sys.argv[1:] = text_of(sys.argv[1:])
    except Malformed as error:
        Terminal(draws=is_whole).fault(error.message)
        raise SystemExit(USAGE) from None
    if is_whole:
        from answerable.main.commands import application

        application()(prog_name="answerable")
        return
    from answerable.apps.cli.light import run_light

    raise SystemExit(run_light(sys.argv[1:]))
