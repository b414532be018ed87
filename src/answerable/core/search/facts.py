"""What one entry can be found by: names from its leaf, and values from its sealed fields.

Laws: the index is built from these facts, and a hit counts only if the facts of the entry, opened again, meet the
search; an entry whose fields cannot be decrypted is found by its leaf alone.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from answerable.core.ledger.subject_key import key_id_of, sections_of
from answerable.core.ledger.tags import Tag
from answerable.core.registry.documents.budget_name import MONEY
from answerable.core.search.declared import NOTHING_MOVED, UNDECLARED, Declared, Money
from answerable.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry

    Members = Mapping[str, JSONValue]

ACTIONS: Final[Mapping[int, tuple[str, str]]] = {
    Tag.INTENT: ("allow", "open"),
    Tag.REFUSAL: ("deny", "refused"),
    Tag.APPROVAL_ASKED: ("defer", "asked"),
}
"""Entries about one action: the decision, and the outcome until another entry says how it ended."""
PREVIEW: Final = "preview"
"""The kind of an intent or a refusal of the gateway itself, which looked something up for the card of a question to
people: no action of the agent."""
ENDS: Final = frozenset({Tag.OUTCOME, Tag.INDETERMINATE})
"""Entries that are joined with the intent that they end."""
OF_APPROVAL: Final = frozenset({Tag.INTENT, Tag.REFUSAL, Tag.APPROVAL_ANSWER})
"""Entries that are found by who answered their approval."""
OF_LEASE: Final = frozenset({Tag.INTENT})
"""Entries that are found by the accounts of their lease; the state of a lease names its account itself."""
NOT_OF_USE: Final = frozenset({Tag.GENESIS, Tag.RECOVERY, Tag.KEY_CHANGE, Tag.PEOPLES_KEYS})
"""Entries that a log has before anything happened."""
PEOPLE: Final = ("principal", "person", "by", "owner", "author", "of", "to")
"""Members of leaves that are pseudonyms of people; the opened fields have the names under the same member."""
TEXT_WORDS_MAX: Final = 64
"""Distinct words of one entry that it is found by."""
NAME_CHARS_MAX: Final = 500

_FIELD_OF: Final = {
    **dict.fromkeys(PEOPLE, "person"),
    "action": "action",
    "account": "account",
    "agent": "agent",
    "approval": "approval",
    "approvals": "approval",
    "authority": "key",
    "capability": "capability",
    "code": "code",
    "hold": "hold",
    "hop": "token",
    "incident": "incident",
    "instance": "instance",
    "lease": "lease",
    "lease_target": "target",
    "mandate": "mandate",
    "manifest": "manifest",
    "parent": "instance",
    "preview_of": "approval",
    "rule": "rule",
    "server": "server",
    "target": "target",
    "use_case": "use-case",
}
"""The field of each member of a leaf; a list counts with each of its items."""
_OVER: Final = frozenset({"agent", "instance", "mandate"})
"""What exceeds the limit of a stop rule."""
_TEXTS: Final = ("reason", "reasons", "comment", "purpose")
WANTED: Final = frozenset(
    {"account", "question", "agent_named", "mandate_named", *_TEXTS, *(f"{one}_name" for one in PEOPLE)}
)
"""Sealed fields that facts are made of, as they are recorded."""
WITH_REQUEST: Final = frozenset({Tag.APPROVAL_ASKED, Tag.REFUSAL})
"""Entries of which the action is wanted, too: a question to people is also found by the digest of what they were shown,
and a refusal before the policies were asked has its arguments there alone."""
STOPS: Final = frozenset({Tag.REVOKED, Tag.HOLD_PLACED, Tag.HOLD_LIFTED})
"""Entries whose `kind` and `name` say what is stopped."""
_NAMED: Final = ("agent_named", "mandate_named")
_ACTION_TEXTS: Final = ("reason", "reasons")
"""The purpose of a mandate is found at the mandate, not again at each of its actions."""
_WORD: Final = re.compile(r"\w{2,64}")


class Beside(NamedTuple):
    """What earlier entries say of an action. principal: pseudonym and name of the person whose task its mandate is,
    empty where they are not known. declared: what the registry declared of its capability. approval: the one that
    people denied, where that is why the action was refused."""

    principal: tuple[str, str] = ("", "")
    declared: Declared = UNDECLARED
    approval: str = ""


ALONE: Final = Beside()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One entry. names: values from the leaf, by field. sealed: values from sealed fields, by field. people: pseudonym
    and name of each person whom the fields name. subject: id of the key that seals the entry, hex; empty for none.

    principal: the name of the person whose task a refused action was, as the entry of its mandate says it. gives: the
    mandate whose principal the leaf names; empty for none.
    """

    entry: int
    tag: int
    at: int
    subject: str
    names: Mapping[str, tuple[str, ...]]
    sealed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    people: tuple[tuple[str, str], ...] = ()
    money: Money = NOTHING_MOVED
    principal: str = ""
    gives: str = ""

    @property
    def is_action(self) -> bool:
        """Whether the entry is about one action: permitted, refused or asked about."""
        return self.tag in ACTIONS

    def one(self, name: str) -> str:
        """Return the first value of a field in the leaf; empty where there is none."""
        return self.names.get(name, ("",))[0]

    @property
    def amount(self) -> int | None:
        """The money that the action moves, in minor units of its currency where that is known."""
        return self.money.amount

    @property
    def person(self) -> str:
        """The first person: the name where it can be decrypted, else the pseudonym."""
        pseudonym = self.one("person")
        return dict(self.people).get(pseudonym) or self.principal or pseudonym


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The entry that says how an intent ended. session: the target's names of the session, by kind."""

    intent: int
    entry: int
    at: int
    outcome: str
    session: tuple[tuple[str, str], ...]


def facts_of(stored: StoredEntry, leaf: Members, fields: Members | None, beside: Beside = ALONE) -> Facts:
    """Return what an entry that is not in `ENDS` can be found by. fields: as `payload_of` returns them."""
    opened = fields or {}
    names = _names(stored, leaf)
    action = ACTIONS.get(stored.tag)
    principal = beside.principal if stored.tag == Tag.REFUSAL and "person" not in names else ("", "")
    if action is not None:
        names["decision"], names["outcome"] = {action[0]: None}, {action[1]: None}
    if principal[0]:
        names["person"] = {principal[0]: None}
    _add(names, "approval", beside.approval)
    arguments = _arguments(opened, beside.declared) if action is not None else {}
    # Of an action that was refused before policies were asked, nothing but its arguments says what it is about.
    is_early = action is not None and "action" in opened and "question" not in opened
    at = leaf.get("at")
    return Facts(
        entry=stored.index,
        tag=stored.tag,
        at=at if type(at) is int else 0,
        subject=next(iter(names.get("subject", ())), ""),
        names={name: tuple(found) for name, found in names.items()},
        sealed=_sealed(stored.tag, leaf, opened, beside.declared.resource_of(arguments) if is_early else ""),
        people=tuple(_people(leaf, opened)) if opened else (),
        # Nothing of what an erased person did is found by amount, not even what the leaf says of it.
        money=_money(leaf, arguments, beside.declared)
        if action is not None and fields is not None
        else NOTHING_MOVED,
        principal=principal[1],
        gives=gives(stored.tag, leaf),
    )


def gives(tag: int, leaf: Members) -> str:
    """Return the mandate whose principal a leaf names, of the entry that issues the mandate or first cites it; empty
    for others."""
    if tag == Tag.MANDATE_ISSUED or (tag == Tag.CITED and leaf.get("kind") == "mandate"):
        name = leaf.get("mandate" if tag == Tag.MANDATE_ISSUED else "name")
        if (
            isinstance(name, str)
            and 0 < len(name) <= NAME_CHARS_MAX
            and isinstance(leaf.get("principal"), str)
        ):
            return name
    return ""


def is_denied_by(refusal: Members, question: Members) -> bool:
    """Whether a question to people is about an action that was refused because of a no of people. Both are leaves."""
    return all(refusal.get(one) == question.get(one) for one in ("agent", "mandate", "digest"))


def ended_of(stored: StoredEntry, leaf: Members) -> Ended | None:
    """Return how an intent ended, for an entry in `ENDS`; None for one that names no intent."""
    intent, at, session = leaf.get("intent"), leaf.get("at"), leaf.get("session")
    if type(intent) is not int:
        return None
    said = session.items() if isinstance(session, dict) else ()
    return Ended(
        intent=intent,
        entry=stored.index,
        at=at if type(at) is int else 0,
        outcome=str(leaf.get("status")),
        session=tuple((kind, value) for kind, value in said if isinstance(value, str) and value),
    )


def kind_of(tag: int) -> str:
    """Return the name of an entry type, as timelines say it."""
    return Tag(tag).name.lower() if tag in Tag._value2member_map_ else f"tag {tag}"


def kinds_of(tags: Iterable[int]) -> tuple[str, ...]:
    """Return the names of what has one of these types."""
    names = [kind_of(one) for one in tags]
    return (*names, PREVIEW) if kind_of(Tag.INTENT) in names else tuple(names)


def words_in(text: str) -> tuple[str, ...]:
    """Return the distinct words of a text, without regard to case and to compatible spellings."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return tuple(dict.fromkeys(_WORD.findall(plain)))


_Found: TypeAlias = "dict[str, dict[str, None]]"
"""Values by field, in order."""


def _add(found: _Found, name: str, value: JSONValue) -> None:
    if type(value) is str:
        if 0 < len(value) <= NAME_CHARS_MAX:
            found.setdefault(name, {})[value] = None
    elif type(value) is list:
        for one in value:
            if type(one) is str:
                _add(found, name, one)


def _names(stored: StoredEntry, leaf: Members) -> _Found:
    found: _Found = {"kind": {PREVIEW if leaf.get("preview_of") else kind_of(stored.tag): None}}
    for member, value in leaf.items():
        name = _FIELD_OF.get(member)
        if name is not None:
            # In a refusal `by` lists what decided; elsewhere it is a person.
            _add(found, "rule" if member == "by" and type(value) is list else name, value)
    if stored.tag == Tag.RULE_FIRED:
        # Who exceeded the limit of a rule is no person.
        found.pop("person", None)
        for over in _OVER & {str(leaf.get("over"))}:
            _add(found, over, leaf.get("owner"))
    decision, proof, hops = leaf.get("decision"), leaf.get("proof"), leaf.get("hops")
    if isinstance(decision, dict):
        _add(found, "rule", decision.get("by"))
        _add(found, "rule", decision.get("lifted"))
    if isinstance(proof, dict):
        _add(found, "key", proof.get("binding"))
    # In an intent `key` is what the upstream uses to recognise a repeated call.
    if stored.tag != Tag.INTENT:
        _add(found, "key", leaf.get("key"))
    for hop in hops if isinstance(hops, list) else ():
        if isinstance(hop, dict):
            _add(found, "agent", hop.get("agent"))
            _add(found, "token", hop.get("id"))
    if stored.tag in STOPS:
        _add(found, "stopped", leaf.get("name"))
    if stored.tag == Tag.APPROVAL_ASKED:
        _add(found, "digest", leaf.get("digest"))
    for subject in key_ids_of(stored.attachment):
        _add(found, "subject", subject.hex())
    return found


def key_ids_of(attachment: bytes) -> Iterator[bytes]:
    """Yield the ids of the keys that seal the fields of an entry; none for an attachment of another form."""
    try:
        for one in sections_of(attachment) if attachment else ():
            yield key_id_of(one)
    except Malformed:
        return


def _people(leaf: Members, opened: Members) -> Iterator[tuple[str, str]]:
    for member in PEOPLE:
        pseudonym, name = leaf.get(member), opened.get(member)
        if isinstance(pseudonym, str) and isinstance(name, str) and pseudonym and name:
            yield pseudonym, name


def _sealed(tag: int, leaf: Members, opened: Members, declared_resource: str) -> dict[str, tuple[str, ...]]:
    found: _Found = {}
    for member in PEOPLE:
        if member not in leaf:
            # The leaf has no pseudonym of the owner of a schedule, for whom an action is, too.
            _add(found, "person", opened.get(member))
    question = opened.get("question")
    if not isinstance(question, dict):
        _add(found, "resource", declared_resource)
    else:
        _add(found, "resource", _part(question, "resource").get("id"))
        _add(found, "destination", _part(_part(question, "context"), "destination").get("names"))
        _add(found, "hold", _part(question, "hold").get("id"))
    for member in _NAMED:
        _add(found, "named", opened.get(member))
    if tag == Tag.APPROVAL_ASKED:
        _add(found, "digest", opened.get("digest"))
    if tag == Tag.LOG_FINDING:
        _add(found, "account", opened.get("account"))
    texts = [opened[one] for one in (_ACTION_TEXTS if tag in ACTIONS else _TEXTS) if one in opened]
    words = words_in(" ".join(_texts(texts)))[:TEXT_WORDS_MAX] if texts else ()
    if words:
        found["text"] = dict.fromkeys(words)
    return {name: tuple(values) for name, values in found.items()}


def _texts(values: list[JSONValue]) -> Iterator[str]:
    for value in values:
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str):
                yield one


def _part(value: Members, member: str) -> Members:
    found = value.get(member)
    return found if isinstance(found, dict) else {}


def _arguments(opened: Members, declared: Declared) -> Members:
    """Return the arguments of an action as policies were told them, else those of the request."""
    question = opened.get("question")
    if isinstance(question, dict):
        return _part(_part(question, "context"), "arguments")
    return declared.named(_part(_part(opened, "action"), "arguments"))


def _money(leaf: Members, arguments: Members, declared: Declared) -> Money:
    """Return the money that the action reserved, else what is declared of it; where nothing is declared, a number that
    is called `amount`."""
    for name, amount in _part(leaf, "reserved").items():
        if name.startswith(MONEY) and type(amount) is int:
            return Money(amount, name.removeprefix(MONEY))
    if declared.amount is not None:
        return declared.money(arguments)
    amount = arguments.get("amount")
    return Money(amount) if type(amount) is int else NOTHING_MOVED
