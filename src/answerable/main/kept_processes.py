"""The broker, the witness and the process that answers searches: what runs in each, and the command lines by which
`answerable up` starts them.

Law: a process that `up` starts reads its command line here. It imports neither Typer nor the other commands, which take
more memory than a witness needs.
"""

from __future__ import annotations

import faulthandler
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.exit_codes import exit_code_of
from answerable.apps.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.flows.ledger.cosign_checkpoint import CosigningState
    from answerable.wiring.broker import Broker
    from answerable.wiring.serving import Listeners
    from answerable.wiring.setting_tree import Settings

STDERR: Final = 2
"""Descriptor of standard error."""
WITNESS: Final = ("witness", "serve", "--quiet", "--until-eof")
BROKER: Final = ("broker", "--quiet", "--until-eof")
INDEX: Final = ("index", "--quiet", "--until-eof")
LOG: Final = "--log"
SHARD: Final = "--shard"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What one command line names. process: the words that name it. options: logs that the witness watches, or the
    shard whose log is searched."""

    data: Path
    config: Path | None
    process: tuple[str, ...]
    options: tuple[str, ...] = ()


def witness_command(data: Path, config: Path | None) -> tuple[str, ...]:
    """Return the command that starts the local witness, in a process that ends with this one. `--log KEY` may
    follow."""
    return (*_ourselves(data, config), *WITNESS)


def broker_command(data: Path, config: Path | None) -> tuple[str, ...]:
    """Return the command that starts the broker, in a process that ends with this one."""
    return (*_ourselves(data, config), *BROKER)


def index_command(data: Path, config: Path | None, shard: str = "") -> tuple[str, ...]:
    """Return the command that starts the process that answers searches, which ends with this one. shard: whose log is
    searched, where the settings name none."""
    return (*_ourselves(data, config), *INDEX, *((SHARD, shard) if shard else ()))


def run_kept(words: Sequence[str]) -> int | None:
    """Run the process that a command of the functions above starts; return its exit code.

    words: of the command line, after the program. Returns None at once for every other command line.
    """
    kept = _read(words)
    if kept is None:
        return None
    terminal = Terminal(quiet=True)
    return exit_code_of(terminal, partial(_serve, terminal, kept))


def serve_broker(terminal: Terminal, settings: Settings, *, until_eof: bool) -> None:
    """Run the broker until it is told to stop. until_eof: end at the end of standard input, too."""
    from answerable.main.doors import broker_door
    from answerable.wiring import broker

    guard_memory(terminal, "broker: its secrets are")

    def started(listeners: Listeners, opened: Broker, left: int) -> None:
        broker.set_collector_apart()
        say = terminal.say
        say(f"broker    {listeners.uds_path} (Unix socket)")
        for name, kind in sorted(opened.kinds.items()):
            say(f"target    {name} ({kind})")
        if not opened.kinds:
            say(f"no targets yet: add NAME.toml to {settings.broker.targets}")
        if left:
            say(f"{left} leases of an earlier process are being ended")

    broker.run(partial(broker.serve_broker, settings, broker_door, until_eof=until_eof, started=started))


def serve_witness(terminal: Terminal, settings: Settings, *, logs: Sequence[str], until_eof: bool) -> None:
    """Run the local witness until it is told to stop. logs: verifier keys of further logs to watch. until_eof: end at
    the end of standard input, too."""
    from answerable.core.tlog.note import VerifierKey
    from answerable.main.doors import witness_door
    from answerable.wiring import local_witness

    guard_memory(terminal, "witness: its key is")

    def started(listeners: Listeners, desk: CosigningState) -> None:
        local_witness.set_collector_apart()
        say = terminal.say
        say(f"witness   {listeners.uds_path} (Unix socket)")
        if listeners.tcp_address is not None:
            say(f"          http://{listeners.tcp_address[0]}:{listeners.tcp_address[1]}")
        for one in desk.cosigners:
            say(f"key       {one.key.formatted()}")

    serving = partial(
        local_witness.serve_witness,
        settings,
        partial(witness_door, settings),
        logs=[VerifierKey.parse(key) for key in logs],
        until_eof=until_eof,
        started=started,
    )
    local_witness.run(serving)


def serve_search(terminal: Terminal, settings: Settings) -> None:
    """Answer searches until it is told to stop, or until the end of standard input."""
    from answerable.main.doors import search_door
    from answerable.wiring import search_process

    guard_memory(terminal, "process that answers searches: its keys are")

    def started(listeners: Listeners) -> None:
        search_process.set_collector_apart()
        terminal.say(f"search    {listeners.uds_path} (Unix socket)")

    search_process.run(
        partial(search_process.serve_search, settings, partial(search_door, settings), started=started)
    )


def guard_memory(terminal: Terminal, what: str) -> None:
    """Before any secret is read, disable core files and forbid other processes of this user to inspect this process.

    what: the process, and what it holds, to name where the system does not allow that.
    """
    from answerable.wiring import guarding

    # A mapped file that cannot be read ends the process by a signal, which nothing else would report.
    faulthandler.enable(file=STDERR, all_threads=False)
    if not guarding.without_core_dumps() or not guarding.without_tracing():
        who, _, held = what.partition(": ")
        terminal.say(
            f"other processes of this user can read the memory of the {who}: {held} not protected from them"
        )


def _ourselves(data: Path, config: Path | None) -> tuple[str, ...]:
    named = ("--config", str(config.absolute())) if config is not None else ()
    return (sys.executable, "-P", "-m", "answerable", "--data", str(data), *named)


def _read(words: Sequence[str]) -> _Kept | None:
    config: str | None = None
    match words:
        case ["--data", data, "--config", config, *rest]:
            pass
        case ["--data", data, *rest]:
            pass
        case _:
            return None
    for process, option, count_max in ((BROKER, "", 0), (INDEX, SHARD, 1), (WITNESS, LOG, len(words))):
        options = rest[len(process) :]
        fits = len(options) % 2 == 0 and len(options) <= 2 * count_max and {*options[::2]} <= {option}
        if tuple(rest[: len(process)]) == process and fits:
            named = Path(config) if config is not None else None
            return _Kept(data=Path(data), config=named, process=process, options=tuple(options[1::2]))
    return None


def _serve(terminal: Terminal, kept: _Kept) -> None:
    from answerable.wiring.settings import load_settings, product_directory
    from answerable.wiring.shard_settings import with_shard

    settings = load_settings(product_directory(kept.data), kept.config)
    if kept.process == BROKER:
        serve_broker(terminal, settings, until_eof=True)
    elif kept.process == WITNESS:
        serve_witness(terminal, settings, logs=kept.options, until_eof=True)
    else:
        serve_search(terminal, with_shard(settings, kept.options[0]) if kept.options else settings)
