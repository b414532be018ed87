"""Contacts of a person besides the console, as an administrator registered them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.fields import matching

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

CONTACT_KEYS: Final = ("email", "slack")
_SLACK_KEYS: Final = ("team", "user")
# Deliberately narrower than RFC 5321: no quoted local parts, no comments, no literals, nothing that ends a header.
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_TEAM: Final = re.compile(r"[TE][A-Z0-9]{2,40}")
_USER: Final = re.compile(r"[UW][A-Z0-9]{2,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """A person's contacts. email: an address. slack: ids of the workspace and of the member. Each is empty if not
    registered."""

    email: str = ""
    slack: tuple[str, str] = ("", "")


NO_CONTACTS: Final = Contacts()


def contacts_in(spec: Fields) -> Contacts:
    """Read the contact fields of a person. Records every fault."""
    email = spec.text(
        "email", default="", chars_max=254, check=matching(_EMAIL, "an address such as `alice@example.com`")
    )
    if not spec.has("slack"):
        return Contacts(email=email)
    slack = spec.section("slack", _SLACK_KEYS)
    team = slack.text("team", check=matching(_TEAM, "the id of a workspace, such as `T0123ABCD`"))
    user = slack.text("user", check=matching(_USER, "the id of a member, such as `U0123ABCD`"))
    return Contacts(email=email, slack=(team, user))


def is_email(text: str) -> bool:
    """Whether the text is an address that the field `email` accepts."""
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None
