"""Read `set.yaml`, the head of a policy set in a directory: its name, its approver groups, and its declarations.

Laws: an unknown field is a fault; the four lists have exactly the form of a `PolicySet` document, whose parser reads
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import checked_name
from answerable.core.registry.documents.fields import Fields
from answerable.core.registry.parsing.parse import API_VERSION
from answerable.core.registry.parsing.spec_policy_set import PARTS_KEYS
from answerable.core.registry.parsing.spec_shared import name_of
from answerable.errors.codes.documents import DOCUMENT_DUPLICATE

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.fields import Fault

HEAD_KEYS: Final = ("name", "groups", *PARTS_KEYS)
GROUP_KEYS: Final = ("name", "membersMin")
MEMBERS_MIN: Final = 2
"""Default: with fewer members, one absent person blocks all approvals."""
MEMBERS_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverGroup:
    """A group that the policies of a set may ask. members_min: members that it must have."""

    name: str
    members_min: int = MEMBERS_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHead:
    """The head of a set. lists: `trackers` and the other declaration lists, as written."""

    name: str
    groups: tuple[ApproverGroup, ...]
    lists: dict[str, JSONValue]


def head_in(value: JSONValue, faults: list[Fault], *, document: int = 0) -> SetHead:
    """Read `set.yaml`. Records faults, and never raises."""
    top = Fields(value, known=HEAD_KEYS, document=document, path="", faults=faults)
    name = top.text("name", check=lambda text: checked_name(text, what="policy set"))
    groups: list[ApproverGroup] = []
    for item in top.sections("groups", GROUP_KEYS):
        group = ApproverGroup(
            name=item.text("name", check=name_of("group")),
            members_min=item.integer("membersMin", minimum=1, maximum=MEMBERS_MAX, default=MEMBERS_MIN),
        )
        if group.name and any(group.name == earlier.name for earlier in groups):
            item.fault(f"group `{group.name}` is declared twice", "name", code=DOCUMENT_DUPLICATE.id)
        groups.append(group)
    written = value if isinstance(value, dict) else {}
    return SetHead(
        name=name, groups=tuple(groups), lists={key: written[key] for key in PARTS_KEYS if key in written}
    )


def compiled_document(head: SetHead, policies: str) -> dict[str, JSONValue]:
    """Return the registry document that a directory compiles to."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PolicySet",
        "metadata": {"name": head.name},
        "spec": {"policies": policies, **head.lists},
    }
