"""Collect the policy sets, mandates and hops that a log states, and look them up for the decisions made under them."""

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
"""Mandates that stay cached, the most recently used."""


class Statements:
    """The statements of one log so far."""

    def __init__(self) -> None:
        self._texts: dict[str, bytes] = {}
        self._asking: dict[str, PolicyAsking | Unfit] = {}
        self._tokens: dict[str, bytes] = {}
        self._mandates: OrderedDict[str, Mandate | None] = OrderedDict()
        self._hops: dict[tuple[str, str, str], bytes] = {}

    def take(self, tag: int, leaf: Mapping[str, Any], fields: Mapping[str, bytes]) -> None:
        """Take an entry. fields: its disclosed fields."""
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
                # A mandate that was recorded but, after a crash, never in force may be issued again with other terms.
                # Only the last one was ever used in a decision.
                self._tokens[name] = fields["token"]
                self._mandates.pop(name, None)

    def policy_set(self, leaf: Mapping[str, Any]) -> PolicyAsking | Unfit | None:
        """Return the policy set that a decision names; None if it is not disclosed."""
        digest = digest_in(leaf)
        found = self._asking.get(digest)
        if found is None and digest in self._texts:
            found = self._asking[digest] = _asking(digest, self._texts[digest])
        return found

    def hops(self, leaf: Mapping[str, Any]) -> tuple[Authority, ...] | None:
        """Return the authority of each hop of an action; None if one is not disclosed or cannot be read."""
        tokens = [self._hops.get(place) for place in hop_places(leaf)]
        found = [None if token is None else _authority(token) for token in tokens]
        return None if None in found else tuple(one for one in found if one is not None)

    def mandate(self, leaf: Mapping[str, Any]) -> Mandate | None:
        """Return the mandate that a decision names; None if it is not disclosed or this program cannot read it."""
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
    """Return a published policy set in the same form as a cited one."""
    policies, declared, schema = (fields.get(name) for name in ("policies", "declared", "schema_digest"))
    if policies is None or declared is None or schema is None:
        return policies or b""
    parts = b"" if declared == b"{}" else b'"parts":%b,' % declared
    return b'{%b"policies":%b,"schema_digest":%b}' % (parts, policies, schema)


def hop_places(leaf: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return id, agent and mandate of each hop of an action, root first."""
    hops = leaf.get("hops")
    return [
        (str(hop.get("id")), str(hop.get("agent")), str(leaf.get("mandate")))
        for hop in (hops if isinstance(hops, list) else ())
    ]


def digest_in(leaf: Mapping[str, Any]) -> str:
    """Return the digest by which a decision names its policy set."""
    decided = leaf.get("decision")
    return str(decided.get("policy_set") if isinstance(decided, dict) else leaf.get("policy_set"))


def _asking(digest: str, text: bytes) -> PolicyAsking | Unfit:
    try:
        statement = read_statement(text)
        # The digest of older sets does not cover exactly these bytes; their entry alone attests them.
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
