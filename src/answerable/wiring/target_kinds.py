"""The kinds of targets that a broker can act on: plug-ins, found by entry points and imported only when a target file
names them.

Laws: what is installed is inert until a target file names it; finding out what is installed imports none of it; of two
distributions that claim one kind neither is imported; code of a plug-in has bounded time, and what it raises is refused
with its distribution.

Our own kinds are declared in `pyproject.toml`, under `answerable.targets`.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, fields, is_dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final, TypeVar

from answerable.errors import AnswerableError, Malformed, shown
from answerable.errors.codes.leases import TARGET_KIND
from answerable.errors.codes.services import SETTINGS_VALUE
from answerable.flows.state.target_calls import place_of
from answerable.targets.kind import API, BuiltTarget, TargetKind
from answerable.wiring.left_threads import begin
from answerable.wiring.settings import checked_value
from answerable.wiring.toml_text import TOMLDecodeError, toml_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from importlib.metadata import Distribution, PackageMetadata

    from answerable.targets.kind import TargetContext

GROUP: Final = "answerable.targets"
"""The group of entry points: each is named as its kind and leads to a `TargetKind`."""
CALL_SECONDS_MAX: Final = 20.0
"""Longest time for an import of a plug-in, and for each call of its code while targets are built."""
SAID_CHARS_MAX: Final = 200

Result = TypeVar("Result")

_LEFT: Final[dict[tuple[str, str], Future[Any]]] = {}
"""The last call of each plug-in that did not end in time: while it goes on, no other thread waits behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlugin:
    """An installed kind, not imported. distribution: the name and version of the package that brings it. extras: those
    of its distribution, in the spelling of kinds."""

    kind: str
    distribution: str
    package: str
    extras: frozenset[str]
    entry: EntryPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginKind(TargetKind):
    """The kind of a plug-in. Its `build` and `faults` raise Malformed (`target.kind`) where the plug-in fails, does not
    end in time or returns something else. Errors of the family that `build` raises pass."""

    plugin: TargetPlugin

    @property
    def by(self) -> str:
        """The plug-in and the distribution that brings it, for messages."""
        return _by(self.plugin)

    def settings_from(self, values: Mapping[str, object]) -> Any:
        """Return an instance of the settings class. Raises Malformed (`target.kind`)."""
        settings: Callable[..., Any] = self.settings
        return _called(self.plugin, "making its settings", lambda: settings(**values))


Installed = dict[str, tuple[TargetPlugin, ...]]
"""Plug-ins by kind; several for a kind that more than one distribution claims."""


def installed_kinds() -> Installed:
    """Return every installed plug-in, in the order of their kinds. Imports none of them."""
    found: Installed = {}
    # A distribution parses its metadata anew whenever it is asked for any of it.
    read: dict[Distribution, PackageMetadata] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        dist = entry.dist
        if dist is not None:
            about = read[dist] = read.get(dist) or dist.metadata
            extras = (one.replace("-", "_") for one in about.get_all("Provides-Extra") or ())
            plugin = TargetPlugin(
                kind=entry.name,
                distribution=f"{about['Name']} {about['Version']}",
                package=about["Name"],
                extras=frozenset(extras),
                entry=entry,
            )
            found[entry.name] = (*found.get(entry.name, ()), plugin)
    return found


def kind_named(name: str, among: Mapping[str, tuple[TargetPlugin, ...]] | None = None) -> PluginKind:
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


def declared_value(value: object, setting: Field[Any], references: tuple[str, ...]) -> object:
    """Return a value checked against the declaration of its setting. references: kinds of references accepted for a
    secret. Raises Malformed (`settings.value`)."""
    about = setting.metadata
    return checked_value(
        value,
        setting.default,
        unit=about["unit"],
        minimum=about.get("minimum"),
        maximum=about.get("maximum"),
        references=references,
    )


def _imported(plugin: TargetPlugin) -> PluginKind:
    try:
        kind = _called(plugin, "importing it", plugin.entry.load, passes=ModuleNotFoundError)
    except ModuleNotFoundError as missing:
        # An extra that brings the libraries of a kind is named as the kind.
        extra = plugin.kind.replace("-", "_")
        if extra not in plugin.extras:
            raise _unusable(plugin, f"it needs {shown(missing.name or 'a library')}") from None
        raise TARGET_KIND(
            f"targets of kind {shown(plugin.kind)} need {shown(missing.name or 'a library')}: "
            f'pip install "{plugin.package}[{plugin.kind}]"'
        ) from None
    if not isinstance(kind, TargetKind):
        raise _unusable(plugin, f"expected a TargetKind, got {shown(type(kind).__name__)}")
    if kind.api != API:
        raise _unusable(plugin, f"it is written for API {shown(str(kind.api))}, this broker has {API}")
    if kind.name != plugin.kind:
        raise _unusable(plugin, f"its kind calls itself {shown(kind.name)}")
    if not is_dataclass(kind.settings) or any("unit" not in one.metadata for one in fields(kind.settings)):
        raise _unusable(plugin, "its settings are no dataclass of declared settings")
    if kind.acts_by_another and not {"acts_by", "acts_with"} <= {one.name for one in fields(kind.settings)}:
        raise _unusable(
            plugin, "its settings do not say with `acts_by` and `acts_with` by which kind it acts"
        )
    return PluginKind(
        api=kind.api,
        name=kind.name,
        settings=kind.settings,
        build=partial(_built, plugin, kind),
        faults=partial(_faults, plugin, kind),
        acts_by_another=kind.acts_by_another,
        plugin=plugin,
    )


def _built(plugin: TargetPlugin, kind: TargetKind, settings: Any, context: TargetContext) -> BuiltTarget:
    if kind.acts_by_another:
        acting, given = _acting(settings)
        context = replace(context, acting=acting.build(given, context).target)
    # What is raised there may quote a secret that the plug-in has just read.
    call = partial(_with_tools, kind, settings, context)
    built, tools = _called(plugin, "building a target", call, passes=AnswerableError, quotes=False)
    if not isinstance(built, BuiltTarget):
        raise _unusable(plugin, f"expected a BuiltTarget, got {shown(type(built).__name__)}")
    if not all(
        isinstance(one.get("name"), str) and isinstance(one.get("inputSchema"), dict) for one in tools
    ):
        raise _unusable(plugin, "its target describes a tool without `name` or `inputSchema`")
    return built


def _with_tools(
    kind: TargetKind, settings: Any, context: TargetContext
) -> tuple[object, list[dict[str, object]]]:
    """Build the target and ask for its tools, which the broker does when it starts."""
    built: object = kind.build(settings, context)
    return built, [dict(one) for one in built.target.tools()] if isinstance(built, BuiltTarget) else []


def _faults(plugin: TargetPlugin, kind: TargetKind, settings: Any) -> tuple[str, ...]:
    found: tuple[object, ...] = _called(plugin, "checking settings", lambda: tuple(kind.faults(settings)))
    if odd := [one for one in found if not isinstance(one, str)]:
        raise _unusable(plugin, f"expected texts from its `faults`, got {shown(type(odd[0]).__name__)}")
    return (*map(str, found), *(_acting_faults(settings) if kind.acts_by_another else ()))


def _acting_faults(settings: Any) -> tuple[str, ...]:
    try:
        kind, given = _acting(settings)
        return tuple(f"`acts_with`: {fault}" for fault in kind.faults(given))
    except Malformed as wrong:
        return (wrong.message,)


def _acting(settings: Any) -> tuple[PluginKind, Any]:
    """Return the kind that acts by `acts_by`, and its settings by `acts_with`. Raises Malformed (`target.kind`,
    `settings.value`)."""
    kind = kind_named(settings.acts_by) if settings.acts_by else None
    if kind is None or kind.acts_by_another:
        raise TARGET_KIND("`acts_by` is the kind of target that acts with the credential")
    try:
        given = toml_in(settings.acts_with)
    except TOMLDecodeError as wrong:
        raise SETTINGS_VALUE(f"`acts_with` is not TOML: {wrong}") from None
    known = {one.name: one for one in fields(kind.settings)}
    values: dict[str, object] = {}
    for name, value in given.items():
        if name not in known:
            raise SETTINGS_VALUE(f"`acts_with`: unknown setting {shown(name)}")
        try:
            values[name] = declared_value(value, known[name], ("file:PATH", "env:NAME"))
        except Malformed as wrong:
            raise Malformed(f"`acts_with`: `{name}`: {wrong.message}", code=wrong.code) from None
    return kind, kind.settings_from(values)


def _called(
    plugin: TargetPlugin,
    what: str,
    call: Callable[[], Result],
    *,
    passes: type[Exception] | tuple[()] = (),
    quotes: bool = True,
) -> Result:
    """Return the result of a plug-in's code: code of a stranger, which must neither end the broker nor keep it waiting.

    passes: errors that go on to the caller. quotes: whether to repeat the text of others, and not only type and place.
    Raises Malformed (`target.kind`).
    """
    key = (plugin.distribution, plugin.kind)
    left = _LEFT.get(key)
    if left is not None and not left.done():
        raise _unusable(plugin, "an earlier call of its code has not ended")
    going = begin(call)
    try:
        failed = going.exception(CALL_SECONDS_MAX)
    except TimeoutError:
        _LEFT[key] = going
        raise _unusable(plugin, f"{what} took more than {CALL_SECONDS_MAX:g} s") from None
    if failed is None:
        return going.result()
    if isinstance(failed, passes):
        raise failed
    said = shown(_text_of(failed), SAID_CHARS_MAX) if quotes else place_of(failed)
    raise _unusable(plugin, f"{what} failed: {said}")


def _text_of(failed: BaseException) -> str:
    try:
        return f"{type(failed).__name__}: {failed}"
    except Exception:
        return type(failed).__name__


def _unusable(plugin: TargetPlugin, why: str) -> Malformed:
    return TARGET_KIND(f"{_by(plugin)} cannot be used: {why}")


def _by(plugin: TargetPlugin) -> str:
    return f"the plug-in {shown(plugin.kind)} of {plugin.distribution}"
