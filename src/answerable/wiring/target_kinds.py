"""The kinds of targets that a broker can act on: plug-ins, found by entry points and imported only when a target file
names them.

Laws: what is installed is inert until a target file names it; finding out what is installed imports none of it; of two
distributions that claim one kind neither is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_KIND
from answerable.targets.kind import API, TargetKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.errors import Malformed

GROUP: Final = "answerable.targets"
"""The group of entry points: each is named as its kind and leads to a `TargetKind`."""
SAID_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlugin:
    """An installed kind, not imported. distribution: the name and version of the package that brings it. extras: those
    of its distribution, in the spelling of kinds."""

    kind: str
    distribution: str
    package: str
    extras: frozenset[str]
    entry: EntryPoint


Installed = dict[str, tuple[TargetPlugin, ...]]
"""Plug-ins by kind; several for a kind that more than one distribution claims."""


def installed_kinds() -> Installed:
    """Return every installed plug-in, in the order of their kinds. Imports none of them."""
    found: Installed = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        dist = entry.dist
        if dist is not None:
            extras = (one.replace("-", "_") for one in dist.metadata.get_all("Provides-Extra") or ())
            plugin = TargetPlugin(
                kind=entry.name,
                distribution=f"{dist.name} {dist.version}",
                package=dist.name,
                extras=frozenset(extras),
                entry=entry,
            )
            found[entry.name] = (*found.get(entry.name, ()), plugin)
    return found


def kind_named(name: str, among: Mapping[str, tuple[TargetPlugin, ...]] | None = None) -> TargetKind:
    """Import and return the kind with this name. among: what is installed, for a caller that asks for several kinds.

    Raises Malformed (`target.kind`): unknown, claimed by two distributions, its libraries are not installed, or the
    plug-in cannot be used.
    """
    known = installed_kinds() if among is None else among
    claimed = known.get(name, ())
    if not claimed:
        raise TARGET_KIND(f"unknown kind of target {shown(name)}: expected one of {', '.join(known)}")
    if len(claimed) > 1:
        by = " and ".join(one.distribution for one in claimed)
        raise TARGET_KIND(f"targets of kind {shown(name)} are in {by}: uninstall all but one")
    return _imported(claimed[0])


def _imported(plugin: TargetPlugin) -> TargetKind:
    try:
        kind = plugin.entry.load()
    except ModuleNotFoundError as missing:
        # An extra that brings the libraries of a kind is named as the kind.
        extra = plugin.kind.replace("-", "_")
        if extra not in plugin.extras:
            raise _unusable(plugin, f"it needs {shown(missing.name or 'a library')}") from None
        raise TARGET_KIND(
            f"targets of kind {shown(plugin.kind)} need {shown(missing.name or 'a library')}: "
            f'pip install "{plugin.package}[{plugin.kind}]"'
        ) from None
    except (Exception, SystemExit) as failed:
        # Code of a stranger: what it does to end a program of its own must not end the broker.
        said = f"{type(failed).__name__}: {failed}"
        raise _unusable(plugin, f"importing it failed: {shown(said, SAID_CHARS_MAX)}") from None
    if not isinstance(kind, TargetKind):
        raise _unusable(plugin, f"expected a TargetKind, got {shown(type(kind).__name__)}")
    if kind.api != API:
        raise _unusable(plugin, f"it is written for API {shown(str(kind.api))}, this broker has {API}")
    if kind.name != plugin.kind:
        raise _unusable(plugin, f"its kind calls itself {shown(kind.name)}")
    if not is_dataclass(kind.settings) or any("unit" not in one.metadata for one in fields(kind.settings)):
        raise _unusable(plugin, "its settings are no dataclass of declared settings")
    return kind


def _unusable(plugin: TargetPlugin, why: str) -> Malformed:
    return TARGET_KIND(f"the plug-in {shown(plugin.kind)} of {plugin.distribution} cannot be used: {why}")
