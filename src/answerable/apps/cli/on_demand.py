"""Build each command only when it is looked up: building the whole tree costs more than most commands themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from typer.main import (
    get_command,
    get_command_from_info,
    get_group_from_info,
    get_install_completion_arguments,
)

from answerable.apps.cli.typed_values import convert_when_needed

if TYPE_CHECKING:
    from typer import Typer
    from typer.core import TyperGroup
    from typer.models import CommandInfo, TyperInfo

Command: TypeAlias = Any
"""The command class of the click inside Typer, which exports no type for it."""


convert_when_needed()
_COMPLETION: Final = get_install_completion_arguments()
"""The options that Typer adds to a root: it makes them anew for each tree."""


class _OnDemand(Mapping[str, Command]):
    """Commands by name, in the order of declaration."""

    def __init__(self, makers: dict[str, Callable[[], Command]]) -> None:
        self._makers = makers
        self._built: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._built:
            self._built[name] = self._makers[name]()
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def command_tree(app: Typer) -> TyperGroup:
    """Return the same tree as `typer.main.get_command` does, without its cost. Every command and group must have a
    name."""
    bare = _bare(app)
    bare._add_completion = False
    root: Any = get_command(bare)
    root.params += _COMPLETION
    root.commands = _commands(app, app)
    group: TyperGroup = root
    return group


def _commands(app: Typer, root: Typer) -> _OnDemand:
    makers: dict[str, Callable[[], Command]] = {}
    for one in app.registered_commands:
        makers[str(one.name)] = partial(_command, one, root)
    for noun in app.registered_groups:
        makers[str(noun.name)] = partial(_group, noun, root)
    return _OnDemand(makers)


def _command(info: CommandInfo, root: Typer) -> Command:
    return get_command_from_info(
        info,
        pretty_exceptions_short=root.pretty_exceptions_short,
        rich_markup_mode=root.rich_markup_mode,
    )


def _group(info: TyperInfo, root: Typer) -> Command:
    app, bare = info.typer_instance, copy(info)
    if app is None:
        raise TypeError(f"the noun {info.name} has no commands")
    bare.typer_instance = _bare(app)
    group: Any = get_group_from_info(
        bare,
        pretty_exceptions_short=root.pretty_exceptions_short,
        rich_markup_mode=root.rich_markup_mode,
        suggest_commands=root.suggest_commands,
    )
    group.commands = _commands(app, root)
    return group


def _bare(app: Typer) -> Typer:
    """Copy an app without its commands and groups."""
    bare = copy(app)
    bare.registered_commands, bare.registered_groups = [], []
    return bare
