"""Bare names: a word without a field is tried as each kind of name that the index knows.

Laws: a word `field:value` means what it means in a search; any other word is a name; a name is looked up as it is
written, except that a lease is also found by its account; what a caller wrote in an argument never stands beside what
the product or its people named, in one answer.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NamedTuple

from answerable.core.search.fields import BY_NAME
from answerable.core.search.query import NAME_OF_FIELD, Term, parsed_query
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.core.search.query import Query

KINDS: Final = {
    "action": "an action",
    "approval": "an approval",
    "mandate": "a mandate",
    "hold": "a hold",
    "incident": "an incident",
    "lease": "a lease",
    "token": "a delegation hop",
    "instance": "a running instance",
    "key": "a key, by its thumbprint",
    "manifest": "the manifest of an agent",
    "person": "a person",
    "agent": "an agent",
    "capability": "a capability",
    "server": "a server",
    "target": "a target of leases",
    "use-case": "a use case",
    "resource": "a resource",
    "destination": "a destination",
    "subject": "a data subject",
    "account": "an account at a target",
    "session": "a session at a target",
    "rule": "a policy or rule",
    "code": "an error code",
    "digest": "the digest of an action",
    "named": "a name in messages that were refused",
    "stopped": "something that was stopped",
}
"""Fields that a bare name is tried as, those of one thing before those of many, and what the name then is."""
SEALED_KINDS: Final = ("person", "resource", "destination", "subject", "account", "hold", "digest", "named")
"""Kinds of names that are sealed, in whole or in part: without the subject keys a bare name is not tried as these."""
ENTRY: Final = "entry"
"""What a name is that is the index of an entry."""
ISSUED: Final = frozenset(
    {
        ENTRY,
        "action",
        "approval",
        "mandate",
        "hold",
        "incident",
        "lease",
        "token",
        "instance",
        "key",
        "manifest",
        "digest",
    }
)
"""What a name is that the product made, and nobody can choose: before all else."""
CHOSEN: Final = frozenset({"resource", "destination", "subject"})
"""What a name is that a caller may write in an argument: after all else."""
VAGUE: Final = frozenset({"stopped", "named"})
"""What a name is told as where it is nothing else."""
CUT: Final = "…"
"""End of a name of which only the beginning is shown."""
_INDEX: Final = re.compile(rf"(?:{ENTRY}:)?#?(0|[1-9][0-9]{{0,15}})")
_IN_SHARD: Final = re.compile(rf"(?:{ENTRY}:)?#?([a-z0-9-]+)/(0|[1-9][0-9]{{0,15}})")
_SESSION_OF_OURS: Final = re.compile(rf"session:([0-9a-z]{{26}}|[0-9a-z]{{3,26}}{CUT})")
"""Name of the key of a session, as it is shown, whole or cut; a target's own session is named in another form."""


class Asked(NamedTuple):
    """What a story is asked about. names: words without a field; any of them. query: all other words."""

    names: tuple[str, ...]
    query: Query


class Beside(NamedTuple):
    """What somebody else wrote that is spelled like a name. kind: of `KINDS`. entries: how many have it and do not
    belong to the name."""

    kind: str
    name: str
    entries: int

    def written(self) -> str:
        """Return it as it is asked for."""
        return f"{self.kind}:{self.name}"


def parsed_names(words: Sequence[str], *, now: int) -> Asked:
    """Part words into names and a search. Raises as `parsed_query`."""
    names = [one for one in words if not is_term(one)]
    return Asked(tuple(dict.fromkeys(names)), parsed_query([one for one in words if is_term(one)], now=now))


def is_term(word: str) -> bool:
    """Whether a word is of the form `field:value`, with a field that there is, and is not a name of ours as a whole."""
    found = None if _SESSION_OF_OURS.fullmatch(word) else NAME_OF_FIELD.match(word)
    return found is not None and found[1].lower().replace("_", "-") in BY_NAME


def terms_of(name: str) -> dict[str, Term]:
    """Return the term of each field that the name may be a value of, by field."""
    found = {}
    for field in KINDS:
        try:
            found[field] = parsed_query([f"{field}:{name}"], now=0).terms[0]
        except Malformed:
            continue
    if _SESSION_OF_OURS.fullmatch(name):
        # Whoever has a session of that form at a target means that one.
        (found["session"],) = parsed_query([name], now=0).terms
    return found


def best_of(kinds: Iterable[str]) -> set[str]:
    """Return the kinds that a name stands for, of all that it has entries as: of what the product issued, of what was
    declared, of what callers chose, and of what is vague, the first that there is."""
    found = {*kinds}
    declared = found - ISSUED - CHOSEN - VAGUE
    return found & ISSUED or declared or found & CHOSEN or found


def entry_of(name: str) -> int | None:
    """Return the name as the index of an entry, also one written `#5` or `entry:5`; None where it is none."""
    found = _INDEX.fullmatch(name)
    return int(found[1]) if found is not None else None


def entry_in_shard(name: str) -> tuple[str, int] | None:
    """Return the name as the address of an entry in the log of a shard, such as `b/12`; None where it is none."""
    found = _IN_SHARD.fullmatch(name)
    return (found[1], int(found[2])) if found is not None else None


def advice_for(name: str) -> str:
    """Return a sentence for a name that was not found and is written like a field and its value; empty for others."""
    found = NAME_OF_FIELD.match(name)
    near = get_close_matches(found[1].lower(), BY_NAME, 1) if found is not None else ()
    return f"; did you mean `{near[0]}:`?" if near else ""
