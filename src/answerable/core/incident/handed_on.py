"""Describe delegation hops from ledger entries: who delegated what of a mandate to whom, and the chain behind an
action.

Laws: the tree is built from the log, each token once even if recorded more than once; a hop's authority is read from
its own token, and omitted where that cannot be decrypted; reusing the id of a hop for another does not hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from answerable.core.incident.wording import listed, plain, short
from answerable.core.ledger.records_delegation import CONSENT_KIND, KIND
from answerable.core.mandate.budget import unit_of
from answerable.core.mandate.constraint import (
    Max,
    MaxLifetime,
    MaxSubtree,
    Min,
    NotOneOf,
    OneOf,
    Prefix,
    Rank,
)
from answerable.core.mandate.hop_token import read_hop
from answerable.errors import AnswerableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.authority import Authority
    from answerable.core.mandate.constraint import Constraint
    from answerable.core.mandate.hop_token import UnverifiedHop

PHRASES_MAX: Final = 8
"""Maximum per hop; the number of further ones is stated."""

ARROW: Final = " → "


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedHop:
    """One hop from the entry that records its token.

    name: digest of the token, hex. parent: `jti` of the hop above, empty for the first. expires_at: Unix milliseconds.
    said: the parsed token; None where the entry's fields cannot be decrypted.
    """

    name: str
    jti: str
    parent: str
    mandate: str
    agent: str
    depth: int
    form: str
    expires_at: int
    said: UnverifiedHop | None

    @property
    def authority(self) -> Authority | None:
        """The hop's authority, where it can be read."""
        return self.said.authority if self.said is not None else None


def traced_hop(leaf: Mapping[str, JSONValue], payload: Mapping[str, JSONValue] | None) -> TracedHop | None:
    """Return the hop in an entry of a cited statement; None for another statement."""
    if leaf.get("kind") != KIND:
        return None
    depth, expires = leaf.get("depth"), leaf.get("expires")
    return TracedHop(
        name=str(leaf.get("name")),
        jti=str(leaf.get("hop")),
        parent=str(leaf.get("parent") or ""),
        mandate=str(leaf.get("mandate")),
        agent=str(leaf.get("agent")),
        depth=depth if isinstance(depth, int) else 0,
        form=str(leaf.get("form")),
        expires_at=expires if isinstance(expires, int) else 0,
        said=_said((payload or {}).get("token")),
    )


def parent_of(hop: TracedHop, hops: Iterable[TracedHop]) -> TracedHop | None:
    """Return the hop above, by the hash in the token where it can be read, else by its id."""
    above = [one for one in hops if one.jti == hop.parent and one.depth == hop.depth - 1]
    if hop.said is not None:
        for one in above:
            if one.said is not None and one.said.raw.hash == hop.said.parent_hash:
                return one
    return above[0] if above else None


def hop_sentence(hop: TracedHop, hops: Iterable[TracedHop] = ()) -> tuple[str, tuple[str, ...]]:
    """Return a sentence about the hop, and further details. hops: others of the timeline, to find the
    delegating agent."""
    parent = parent_of(hop, hops) if hop.depth else None
    agent, mandate = plain(hop.agent), short(hop.mandate)
    phrases = narrowed(hop.authority, parent.authority if parent is not None else None)
    if not hop.depth:
        text = f"Agent {agent} was issued a token for mandate {mandate}"
    elif parent is not None:
        text = f"{plain(parent.agent)} handed mandate {mandate} on to {agent} (hop {hop.depth})"
    else:
        text = f"Mandate {mandate} was handed on to {agent} (hop {hop.depth})"
    if hop.depth and phrases:
        text += f", {phrases[0]}"
        phrases = phrases[1:]
    signed = "signed by the agent that hands on" if hop.form == "offline" else "signed by the token service"
    details = [*([f"narrowed to: {'; '.join(phrases)}"] if phrases else [])]
    details.append(f"{signed}; good until {moment_text(hop.expires_at)}; id {short(hop.jti)}")
    return f"{text}.", tuple(details)


def cited_sentence(leaf: Mapping[str, JSONValue]) -> tuple[str, tuple[str, ...]]:
    """Return a sentence about a cited statement other than a hop, and further details."""
    if leaf.get("kind") == CONSENT_KIND:
        agent, mandate = plain(leaf.get("agent")), short(leaf.get("mandate"))
        giver = f"The holder of hop {short(leaf.get('parent'))}"
        text = f"{giver} consented to a token for {agent} under mandate {mandate}."
        return text, (f"signed by the agent that hands on; id {short(leaf.get('hop'))}",)
    what = {"mandate": "mandate", "policy_set": "policy set", "tool": "tool definition"}.get(
        str(leaf.get("kind")), "statement"
    )
    return f"The {what} {short(leaf.get('name'))} was written down, to be referred to.", ()


def narrowed(child: Authority | None, parent: Authority | None) -> tuple[str, ...]:
    """Return short phrases on how a hop narrows its parent's authority; on all of it where the parent is unknown."""
    if child is None:
        return ()
    phrases: list[str] = []
    if parent is None or child.scopes != parent.scopes:
        phrases.append(f"only for {listed([*child.scopes[:PHRASES_MAX]])}{_more(child.scopes)}")
    before = frozenset(parent.constraints) if parent is not None else frozenset()
    phrases += [_phrase(one) for one in child.constraints if one not in before and _matters(one, child)]
    if len(phrases) > PHRASES_MAX:
        phrases = [*phrases[:PHRASES_MAX], f"{len(phrases) - PHRASES_MAX} more bounds"]
    return tuple(phrases)


def through(leaf: Mapping[str, JSONValue]) -> str:
    """Return the chain of agents that delegated an action, root first; empty where nobody delegated it."""
    agents = [one.get("agent") for one in hops_of(leaf)]
    return f" through {ARROW.join(plain(one) for one in agents[:-1])}" if len(agents) > 1 else ""


def hops_of(leaf: Mapping[str, JSONValue]) -> list[dict[str, JSONValue]]:
    """Return the hops in the leaf of an intent or a refusal, root first; none where the agent acts under its own
    mandate."""
    found = leaf.get("hops")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def hop_detail(leaf: Mapping[str, JSONValue]) -> list[str]:
    """Return one line on the hop that the acting agent held; none where it held none."""
    hops = hops_of(leaf)
    if not hops:
        return []
    token = f"by hop {len(hops) - 1} of its chain" if len(hops) > 1 else "by a token of its own"
    return [f"{token}, id {short(hops[-1].get('id'))}"]


def moment_text(milliseconds: int) -> str:
    """Format a time to the second, UTC."""
    when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _said(token: JSONValue) -> UnverifiedHop | None:
    try:
        return read_hop(token) if isinstance(token, str) else None
    except AnswerableError:
        return None


def _matters(constraint: Constraint, authority: Authority) -> bool:
    """Whether a constraint matters: one on a capability that the hop no longer has needs no words."""
    about, _, rest = constraint.key.partition(":")
    if not rest or about == "money":
        return True
    capability = rest.partition(":")[0] if about == "argument" else rest
    return authority.names(capability)


def _phrase(constraint: Constraint) -> str:
    about = _about(constraint.key)
    match constraint:
        case MaxSubtree(bound=bound) | MaxLifetime(bound=bound):
            return f"at most {bound} {unit_of(constraint.key)}"
        case Max(bound=bound):
            return f"{about} at most {bound}"
        case Min(bound=bound):
            return f"{about} at least {bound}"
        case OneOf(members=members):
            return f"{about} {_members(members)} only"
        case NotOneOf(members=members):
            return f"{about} not {_members(members)}"
        case Prefix(prefix=prefix):
            return f"{about} under {plain(prefix)} only"
        case Rank(rank=rank):
            return f"{about} {plain(rank)} at most"
    return f"{about} within a bound that is not known here"


def _about(key: str) -> str:
    kind, _, rest = key.partition(":")
    capability, _, argument = rest.partition(":")
    if kind == "argument" and argument:
        return f"{plain(argument)} of {plain(capability)}"
    return f"{plain(kind)} of {plain(rest)}" if rest else plain(kind)


def _members(members: tuple[str | int | bool, ...]) -> str:
    return f"{listed([*members[:PHRASES_MAX]])}{_more(members)}"


def _more(members: tuple[object, ...]) -> str:
    return f" and {len(members) - PHRASES_MAX} more" if len(members) > PHRASES_MAX else ""
