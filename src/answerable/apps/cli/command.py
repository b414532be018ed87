"""Register a function as a command, with the options that all commands share."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from answerable.apps.cli.exit_codes import ERROR, exit_code_of
from answerable.apps.cli.terminal import Terminal
from answerable.apps.cli.typed_ids import IdCommand
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from answerable.apps.cli.control import Control, Offline
    from answerable.wiring.setting_tree import Settings

    Run: TypeAlias = Callable[..., int | None]
    """Takes the shell first, then its own arguments and options by name."""

_DATA: Final = typer.Option(
    "--data",
    help="Data directory; default: ANSWERABLE_DATA, else ./.answerable.",
    show_default=False,
    metavar="DIR",
)
_CONFIG: Final = typer.Option(
    "--config",
    help="Settings file; default: answerable.toml in the data directory.",
    show_default=False,
    metavar="FILE",
)
_JSON: Final = typer.Option("--json", help="Print the result as JSON.")
_YES: Final = typer.Option("--yes", "-y", help="Answer yes to every question.")
_QUIET: Final = typer.Option("--quiet", "-q", help="Print no messages except errors.")
_PLAIN: Final = typer.Option("--no-color", help="Print without colour, as with NO_COLOR.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RootOptions:
    """Options given before the noun; each may be given after the verb, too."""

    offline: Offline
    data: Path | None = None
    config: Path | None = None
    quiet: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What a command receives: its output, its data directory and access to the control API.

    data_named: whether the user named the data directory, so that it is not only the default.
    """

    terminal: Terminal
    offline: Offline
    data: Path
    data_named: bool
    config: Path | None
    yes: bool

    def settings(self) -> Settings:
        """Return the settings in force. Raises Malformed (`settings.faults`)."""
        from answerable.wiring.settings import load_settings

        return load_settings(self.data, self.config)

    @contextmanager
    def control(self, *, creates: bool = False, shard: str = "") -> Iterator[Control]:
        """Open the control API, whether or not a server runs. creates: whether a data directory may be created. shard:
        whose it is; empty for that of the settings. Raises Malformed (`search.log`)."""
        from answerable.apps.cli.control import connected

        settings = self.settings()
        if shard and shard != settings.ledger.shard:
            from answerable.errors.codes.search import SEARCH_LOG
            from answerable.wiring.shard_settings import with_shard
            from answerable.wiring.shards import published_shards

            names = [one.name for one in published_shards(settings)]
            if shard not in names:
                told = (
                    f"the shards are {', '.join(names)}"
                    if names
                    else "the ledger is one log: give the index alone"
                )
                raise SEARCH_LOG(f"there is no shard {shown(shard)} beside this one; {told}")
            settings = with_shard(settings, shard)
        with connected(settings, self.offline, say=self.terminal.say, creates=creates) as control:
            yield control


def command(
    group: typer.Typer,
    name: str,
    *,
    reads: bool = False,
    asks: bool = False,
    panel: str | None = None,
    example: str = "",
) -> Callable[[Run], Run]:
    """Register a function as a command. The function returns the exit code, or None for 0.

    reads: the command has --json. asks: it has --yes. example: last line of its help, as typed after `answerable`. An
    error of the family becomes one line on standard error.
    """
    # The mark \b keeps click from re-wrapping these lines.
    epilog = f"\b\nExample:\n  answerable {example}" if example else None

    def register(run: Run) -> Run:
        entry = _Entry(run, reads=reads, asks=asks)
        group.command(name, cls=IdCommand, rich_help_panel=panel, epilog=epilog)(entry)
        return run

    return register


class _Entry:
    """Adapts a command to Typer. Typer reads the signature only when it builds the command, and so only then is it
    computed."""

    def __init__(self, run: Run, *, reads: bool, asks: bool) -> None:
        self.__doc__ = run.__doc__
        # Empty, because the signature has the resolved annotations.
        self.__annotations__ = {}
        self._run, self._reads, self._asks = run, reads, asks

    def __call__(self, ctx: typer.Context, **given: Any) -> None:
        try:
            shell = _shell(ctx, given)
        except Malformed as fault:
            Terminal().fault(fault.message)
            raise typer.Exit(ERROR) from None
        run = partial(self._run, shell, **given)
        raise typer.Exit(exit_code_of(shell.terminal, run, ctx.command_path))

    @cached_property
    def __signature__(self) -> inspect.Signature:
        own = list(inspect.signature(self._run, eval_str=True).parameters.values())[1:]
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        return inspect.Signature([context, *own, *_shared(reads=self._reads, asks=self._asks)])


def _shared(*, reads: bool, asks: bool) -> list[inspect.Parameter]:
    rows: list[tuple[str, Any, object]] = []
    if reads:
        rows.append(("as_json", Annotated[bool, _JSON], False))
    if asks:
        rows.append(("yes", Annotated[bool, _YES], False))
    rows += [
        ("data", Annotated[Path | None, _DATA], None),
        ("config", Annotated[Path | None, _CONFIG], None),
        ("quiet", Annotated[bool, _QUIET], False),
        ("plain", Annotated[bool, _PLAIN], False),
    ]
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, annotation, default in rows
    ]


def _shell(ctx: typer.Context, given: dict[str, Any]) -> Shell:
    """Build the shell, removing the shared options from `given`."""
    from answerable.wiring.settings import is_directory_named, product_directory

    root: RootOptions = ctx.obj
    data, config = given.pop("data") or root.data, given.pop("config") or root.config
    terminal = Terminal(
        as_json=given.pop("as_json", False),
        quiet=given.pop("quiet") or root.quiet,
        colour=not (given.pop("plain") or root.plain),
    )
    return Shell(
        terminal=terminal,
        offline=root.offline,
        data=product_directory(data),
        data_named=is_directory_named(data),
        config=config,
        yes=given.pop("yes", False),
    )
