"""Parse the destination classes of a PolicySet document.

Laws: members are in canonical spelling; a member that an earlier class covers is a fault, since it would have no effect
although its author relies on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.destination import (
    BELOW,
    DESTINATION_TYPES,
    checked_allowed,
    wider_names,
)
from answerable.core.registry.documents.policy_parts import NO_CLASS, UNKNOWN_CLASS, DestinationClass
from answerable.core.registry.parsing.spec_parts import one_of
from answerable.errors import shown
from answerable.errors.codes.documents import DESTINATION_INVALID, DOCUMENT_MISSING, DOCUMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from answerable.core.registry.documents.destination import DestinationType
    from answerable.core.registry.documents.fields import Fields

CLASS_KEYS: Final = ("name", "type", "members")
_CODE: Final = "policy_set.destination"


def classes_in(items: Iterable[tuple[Fields, str]]) -> tuple[DestinationClass, ...]:
    """Read the classes, first to last. Records faults, and never raises."""
    places: list[Fields] = []
    found: list[DestinationClass] = []
    for item, name in items:
        if name in (UNKNOWN_CLASS, NO_CLASS):
            what = "what no class names" if name == UNKNOWN_CLASS else "an action that sends nothing"
            item.fault(f"{shown(name)} is the class of {what}: take another name", "name", code=_CODE)
        kind = one_of(item, "type", DESTINATION_TYPES)
        members = item.texts("members", check=_member_of(kind) if kind is not None else None)
        if not item.has("members"):
            item.fault("`members` is missing", code=DOCUMENT_MISSING.id)
        elif item.count("members") == 0:
            item.fault("a class has at least one member", "members", code=DOCUMENT_SIZE.id)
        # A class with faulty members is left out: the indexes of its other members would not match the document.
        if kind is not None and item.count("members") == len(members):
            places.append(item)
            found.append(DestinationClass(name=name, type=kind, members=members))
    for index, member, text, earlier in covered(found):
        message = f"{shown(text)} is in class {shown(found[earlier].name)} already, which comes first"
        places[index].fault(message, "members", member, code=_CODE)
    return tuple(found)


def covered(classes: Iterable[DestinationClass]) -> Iterator[tuple[int, int, str, int]]:
    """Yield members that an earlier class covers: index of the class, index of the member, the member, index of the
    earlier class."""
    seen: dict[tuple[DestinationType, str], int] = {}
    for index, one in enumerate(classes):
        for number, text in enumerate(one.members):
            wider = next((name for name in wider_names(one.type, text) if (one.type, name) in seen), None)
            if wider is not None:
                yield index, number, text, seen[one.type, wider]
        for text in one.members:
            seen.setdefault((one.type, text), index)


def checked_member(kind: DestinationType, text: str) -> None:
    """Check that a class can contain this member in this spelling. Raises Malformed (`destination.invalid`)."""
    if kind != "host" or not text.startswith(BELOW):
        checked_allowed(kind, text)
        return
    domain = text.removeprefix(BELOW)
    checked_allowed(kind, domain)
    if ":" in domain or domain.rpartition(".")[2].isdigit():
        why = "nothing is below an address, and no port counts"
        raise DESTINATION_INVALID(f"destination {shown(text)} is not `*.` and a domain: {why}")


def _member_of(kind: DestinationType) -> Callable[[str], None]:
    return lambda text: checked_member(kind, text)
