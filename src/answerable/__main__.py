"""The installed command, and `python -m answerable`."""

from __future__ import annotations

from answerable.interruption import end_at_interrupt


def run() -> None:
    """Run the command line. Ctrl-C is taken before its imports, which take most of a short command's time."""
    end_at_interrupt()
    from answerable.main import run as run_command

    run_command()


if __name__ == "__main__":
    run()
