"""Check the references of policy sets to each other and to the rest of the registry.

Laws: all sets share one namespace for each kind of declaration, so a name in two sets is a fault of both; an argument
that a tracker sums or a factor compares must have a suitable type in every capability that can match, or history would
be counted too low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.documents import PolicySetDocument
from answerable.core.registry.documents.fields import near
from answerable.core.registry.documents.policy_parts import (
    CLASSES_MAX,
    FACTORS_MAX,
    NO_CLASS,
    TRACKERS_MAX,
    UNKNOWN_CLASS,
    WINDOWS_MAX,
    DestinationClass,
    PolicyParts,
    RiskFactor,
    TimeWindow,
    Tracker,
)
from answerable.core.registry.parsing.spec_classes import covered
from answerable.core.registry.parsing.spec_risk import Comparison, comparison_of
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from answerable.core.registry.parsing.parse import Kind, Shapes

_Found = tuple[str, str, str]  # path, code, message
_Placed = tuple[int, _Found]  # the index of the document, and its fault
_Part = Tracker | TimeWindow | DestinationClass | RiskFactor

_SUMMABLE: Final = ("integer", "minor_units")
_COMPARED: Final[dict[Comparison, tuple[str, ...]]] = {
    "number": _SUMMABLE,
    "text": ("string", "string_set"),
    "truth": ("boolean",),
}
_LISTS: Final[tuple[tuple[str, str, int, Callable[[PolicyParts], tuple[_Part, ...]]], ...]] = (
    ("trackers", "tracker", TRACKERS_MAX, lambda parts: parts.trackers),
    ("windows", "window", WINDOWS_MAX, lambda parts: parts.windows),
    ("destinations", "class", CLASSES_MAX, lambda parts: parts.destinations),
    ("risk", "factor", FACTORS_MAX, lambda parts: parts.risk),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Everything that a set can refer to. types: argument types of each capability. all_sets, all_capabilities: whether
    all of them could be read, so that a missing name is certain."""

    sets: tuple[tuple[int, PolicySetDocument], ...]
    capabilities: dict[str, Capability]
    types: Mapping[str, Mapping[str, str]]
    declared: frozenset[tuple[Kind, str]]
    all_sets: bool
    all_capabilities: bool

    def names(self, key: str) -> tuple[str, ...]:
        """Return the names of all parts of one list, over all sets."""
        parts = next(read for name, _, _, read in _LISTS if name == key)
        return tuple(one.name for _, found in self.sets for one in parts(found.parts))


def policy_faults(shapes: Shapes) -> dict[int, list[_Found]]:
    """Return the reference faults of each policy set, by the index of its document. Never raises."""
    known = _known(shapes)
    faults: dict[int, list[_Found]] = {}
    for document, fault in (*_together(known), *_each(known)):
        faults.setdefault(document, []).append(fault)
    return faults


def _known(shapes: Shapes) -> _Known:
    sets = [
        (found.document, found.noun) for found in shapes.nouns if isinstance(found.noun, PolicySetDocument)
    ]
    capabilities = {found.name: found.noun for found in shapes.nouns if isinstance(found.noun, Capability)}
    types = {
        name: {argument.name: argument.type for argument in one.arguments}
        for name, one in capabilities.items()
    }
    kinds = [kind for kind, _ in shapes.declared]
    return _Known(
        # Sorted by name, the order in which sets are published.
        sets=tuple(sorted(sets, key=lambda one: one[1].name)),
        capabilities=capabilities,
        types=types,
        declared=shapes.declared,
        all_sets=len(sets) == kinds.count("PolicySet"),
        all_capabilities=len(capabilities) == kinds.count("Capability"),
    )


def _together(known: _Known) -> Iterator[_Placed]:
    """Yield the faults of all sets together: names in two sets, too many parts, destinations in two classes."""
    for key, what, most, read in _LISTS:
        holders: dict[str, list[tuple[int, str, str]]] = {}
        count = 0
        for document, found in known.sets:
            parts = read(found.parts)
            count += len(parts)
            if count > most and parts:
                message = f"all policy sets together declare {count} `{key}` up to this one, expected at most {most}"
                yield document, (f"/spec/{key}", "reference.count", message)
            for index, one in enumerate(parts):
                holders.setdefault(one.name, []).append((document, found.name, f"/spec/{key}/{index}/name"))
        for name, places in holders.items():
            for document, own, path in places if len(places) > 1 else ():
                others = ", ".join(shown(other) for _, other, _ in places if other != own)
                message = f"{what} {shown(name)} is also declared by PolicySet {others}"
                yield document, (path, "reference.declared_twice", message)
    classes = [
        (document, found.name, index, one)
        for document, found in known.sets
        for index, one in enumerate(found.parts.destinations)
    ]
    # Duplicates inside one set are already faults of shape.
    for place, member, text, earlier in covered(one for _, _, _, one in classes):
        (document, _, index, _), (_, first, _, wider) = classes[place], classes[earlier]
        where = f"class {shown(wider.name)} of PolicySet {shown(first)}"
        message = f"{shown(text)} is in {where} already, which comes first"
        yield document, (f"/spec/destinations/{index}/members/{member}", "reference.declared_twice", message)


def _each(known: _Known) -> Iterator[_Placed]:
    for document, found in known.sets:
        for index, tracker in enumerate(found.parts.trackers):
            for fault in _tracker_faults(tracker, known, f"/spec/trackers/{index}"):
                yield document, fault
        for index, factor in enumerate(found.parts.risk):
            for fault in _factor_faults(factor, known, f"/spec/risk/{index}"):
                yield document, fault


def _tracker_faults(tracker: Tracker, known: _Known, at: str) -> Iterator[_Found]:
    for number, match in enumerate(tracker.matches):
        place = f"{at}/steps/{number}" if tracker.sequence else at
        for index, name in enumerate(match.capabilities):
            yield from _exists("Capability", name, known, f"{place}/capabilities/{index}")
        for index, name in enumerate(match.servers):
            yield from _exists("Server", name, known, f"{place}/servers/{index}")
    if tracker.sum:
        yield from _sum_faults(tracker, known, f"{at}/sum")


def _exists(kind: Kind, name: str, known: _Known, path: str) -> Iterator[_Found]:
    if (kind, name) not in known.declared:
        hint = near(name, tuple(sorted(other for declared, other in known.declared if declared == kind)))
        yield path, "reference.missing", f"no {kind} is called {shown(name)}{hint}"


def _sum_faults(tracker: Tracker, known: _Known, path: str) -> Iterator[_Found]:
    """Check the summed argument: a named capability must have it; of the others that match, at least one must have it,
    and none with another type."""
    (match,) = tracker.matches
    for name in match.capabilities:
        types = known.types.get(name, {tracker.sum: ""})
        if tracker.sum not in types:
            hint = near(tracker.sum, tuple(types))
            message = f"capability {shown(name)} has no argument {shown(tracker.sum)}{hint}"
            yield path, "reference.missing", message
    matching = {
        name: known.types[name]
        for name, one in known.capabilities.items()
        if name in match.capabilities or match.covers(one)
    }
    yield from _type_faults(tracker.sum, matching, _SUMMABLE, path)
    if not match.capabilities and known.all_capabilities:
        yield from _mapped_nowhere(tracker.sum, matching, "that it matches", path)


def _factor_faults(factor: RiskFactor, known: _Known, at: str) -> Iterator[_Found]:
    match factor.fact:
        case "argument":
            how = comparison_of(factor)
            hint = "; compare it by `atLeast`, `atMost` or `oneOf`" if how == "truth" else ""
            for path, code, message in _type_faults(factor.of, known.types, _COMPARED[how], f"{at}/of"):
                yield path, code, message + hint
            if known.all_capabilities:
                yield from _mapped_nowhere(factor.of, known.types, "that is registered", f"{at}/of")
        case "history" | "window" if known.all_sets:
            key, what = ("trackers", "tracker") if factor.fact == "history" else ("windows", "window")
            names = known.names(key)
            if factor.of not in names:
                message = f"no policy set declares a {what} {shown(factor.of)}{near(factor.of, names)}"
                yield f"{at}/of", "reference.missing", message
        case "destination_class" if known.all_sets:
            names = (*known.names("destinations"), UNKNOWN_CLASS, NO_CLASS)
            for index, name in enumerate(factor.one_of):
                if name not in names:
                    message = f"no policy set declares a class {shown(name)}{near(name, names)}"
                    yield f"{at}/oneOf/{index}", "reference.missing", message
        case _:
            return


def _type_faults(
    argument: str, capabilities: Mapping[str, Mapping[str, str]], wanted: tuple[str, ...], path: str
) -> Iterator[_Found]:
    """Yield one fault for all capabilities in which the argument has another type, with the first by name as the
    example."""
    others = sorted(
        (name, types[argument])
        for name, types in capabilities.items()
        if argument in types and types[argument] not in wanted
    )
    if others:
        name, declared = others[0]
        what = (
            f"argument {shown(argument)} of capability {shown(name)} is {declared}, not {' or '.join(wanted)}"
        )
        more = f" (nor of {len(others) - 1} more)" if len(others) > 1 else ""
        yield path, "reference.argument_type", what + more


def _mapped_nowhere(
    argument: str, capabilities: Mapping[str, Mapping[str, str]], which: str, path: str
) -> Iterator[_Found]:
    known = tuple(dict.fromkeys(name for types in capabilities.values() for name in types))
    if argument not in known:
        message = f"no capability {which} has an argument {shown(argument)}{near(argument, known)}"
        yield path, "reference.missing", message
