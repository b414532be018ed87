"""The `answerable` command: the whole command line, or the light one if a package of the server is missing."""

from __future__ import annotations

import sys
from contextlib import suppress

from answerable.apps.cli.exit_codes import ERROR, USAGE
from answerable.apps.cli.terminal import Terminal, print_nowhere
from answerable.errors import Malformed
from answerable.extras import SERVER, is_here
from answerable.interruption import INTERRUPTED, ignore_interrupts
from answerable.main.standard_streams import end_messages, open_closed, print_any_text, text_of


def run() -> None:
    """Run the installed command."""
    open_closed()
    print_any_text()
    is_whole = all(map(is_here, SERVER))
    terminal = Terminal(draws=is_whole)
    try:
        sys.argv[1:] = text_of(sys.argv[1:])
        if is_whole:
            from answerable.main.kept_processes import run_kept

            code = run_kept(sys.argv[1:])
            if code is not None:
                raise SystemExit(code)
            from answerable.main.commands import application

            application(sys.argv[1:])(prog_name="answerable")
        else:
            from answerable.apps.cli.light import run_light

            raise SystemExit(run_light(sys.argv[1:]))
    except Malformed as error:
        terminal.fault(error.message)
        raise SystemExit(USAGE) from None
    except KeyboardInterrupt:
        # The second one, while the command reported the first.
        raise SystemExit(INTERRUPTED) from None
    except OSError as failed:
        # A usage error or a help page that a full stream did not take.
        print_nowhere()
        with suppress(OSError):
            terminal.fault(f"the output takes nothing ({failed.strerror})")
        raise SystemExit(getattr(failed.__context__, "exit_code", ERROR)) from None
    finally:
        ignore_interrupts()
        end_messages()
