"""Policy sets and mandates as a log wrote them down, found again for the decisions that were made under them."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.token import mandate_in
from answerable.core.registry.policy_sets.policy_statement import read_statement
from answerable.errors import AnswerableError
from answerable.verify.policy_evaluation import PolicyAsking
from answerable.verify.replayed import Unfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.mandate import Mandate

MANDATES_MAX: Final = 20_000
"""Mandates that are kept, the last ones that were used."""


class Statements:
    """What was written down so far in one log."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}
        self._asking: dict[str, PolicyAsking | Unfit] = {}
        self._tokens: dict[str, bytes] = {}
        self._mandates: OrderedDict[str, Mandate | None] = OrderedDict()
        self._hops: dict[tuple[str, str, str], bytes] = {}

    def take(self, tag: int, leaf: Mapping[str, Any], fields: Mapping[str, bytes]) -> None:
        """Look at an entry. fields: those that are shown of it."""
        if tag == Tag.CITED and leaf.get("kind") == "policy_set" and "text" in fields:
            self._texts.setdefault(str(leaf.get("name")), fields["text"])
        elif tag == Tag.POLICY_CHANGE and "policies" in fields:
            self._texts.setdefault(str(leaf.get("after")), _published(fields))
        elif tag == Tag.CITED and leaf.get("kind") == KIND and "token" in fields:
            place = (str(leaf.get("hop")), str(leaf.get("agent")), str(leaf.get("mandate")))
            self._hops.setdefault(place, fields["token"])
        elif "token" in fields and (
            tag == Tag.MANDATE_ISSUED or (tag == Tag.CITED and leaf.get("kind") == "mandate")
        ):
            name = str(leaf.get("mandate") if tag == Tag.MANDATE_ISSUED else leaf.get("name"))
            if self._tokens.get(name) != fields["token"]:
                # One that was recorded and, by a crash, never in force may be issued again with other terms: the last
                # one is that under which anything was decided.
                self._tokens[name] = fields["token"]
                self._mandates.pop(name, None)

    def policy_set(self, leaf: Mapping[str, Any]) -> PolicyAsking | Unfit | None:
        """The set that a decision names; None where it is not shown."""
        digest = digest_in(leaf)
        found = self._asking.get(digest)
        if found is None and digest in self._texts:
            found = self._asking[digest] = _asking(digest, self._texts[digest])
        return found

    def hops(self, leaf: Mapping[str, Any]) -> tuple[Authority, ...] | None:
        """What each hop allows that an action came by; None where one is not shown, or not one that this reads."""
        tokens = [self._hops.get(place) for place in hop_places(leaf)]
        found = [None if token is None else _authority(token) for token in tokens]
        return None if None in found else tuple(one for one in found if one is not None)

    def mandate(self, leaf: Mapping[str, Any]) -> Mandate | None:
        """The mandate that a decision names; None where it is not shown, or is not one that this program reads."""
        name = str(leaf.get("mandate"))
        if name in self._mandates:
            self._mandates.move_to_end(name)
            return self._mandates[name]
        token = self._tokens.get(name)
        if token is None:
            return None
        if len(self._mandates) >= MANDATES_MAX:
            self._mandates.popitem(last=False)
        found = self._mandates[name] = _mandate(name, token)
        return found


def _authority(token: bytes) -> Authority | None:
    try:
        return read_hop(msgspec.json.decode(token, type=str)).authority
    except (AnswerableError, msgspec.DecodeError):
        return None


def _published(fields: Mapping[str, bytes]) -> bytes:
    """What is written down of a set when it comes into force, as it is when it is cited."""
    policies, declared, schema = (fields.get(name) for name in ("policies", "declared", "schema_digest"))
    if policies is None or declared is None or schema is None:
        return policies or b""
    parts = b"" if declared == b"{}" else b'"parts":%b,' % declared
    return b'{%b"policies":%b,"schema_digest":%b}' % (parts, policies, schema)


def hop_places(leaf: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Id, agent and mandate of each hop that an action came by, root first."""
    hops = leaf.get("hops")
    return [
        (str(hop.get("id")), str(hop.get("agent")), str(leaf.get("mandate")))
        for hop in (hops if isinstance(hops, list) else ())
    ]


def digest_in(leaf: Mapping[str, Any]) -> str:
    """By which a decision names its policy set."""
    decided = leaf.get("decision")
    return str(decided.get("policy_set") if isinstance(decided, dict) else leaf.get("policy_set"))


def _asking(digest: str, text: bytes) -> PolicyAsking | Unfit:
    try:
        statement = read_statement(text)
        # One from before the digest was of just these bytes is vouched for by its entry alone.
        if statement.schema_digest and sha256(text).hexdigest() != digest:
            return Unfit(
                verdict="differs", text="the policy set that was written down is not the one that decided"
            )
        return PolicyAsking(statement, digest=digest)
    except AnswerableError as fault:
        return Unfit(verdict="cannot_tell", text=fault.message)


def _mandate(name: str, token: bytes) -> Mandate | None:
    try:
        mandate = mandate_in(msgspec.json.decode(token, type=str))
    except (AnswerableError, msgspec.DecodeError):
        return None
    return mandate if mandate.id == name else None
