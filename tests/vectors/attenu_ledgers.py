"""Ledgers of PyPI attenu-guard told as ours, so that our own verifiers judge them and no rule is written twice.

Delegation: each node becomes a hop that a token service issued, with the authority and the end it was granted, and
`verified_chain` judges the way down to it; each allowed action is asked of its chain by `chain_failure`. Their one
bound, on `max_rows`, becomes one on the argument `rows` of each capability that says how many it used.

Order and integrity: each event becomes the entry that we would have, an allowed action an intent and its outcome the end
of it, and `verify_ledger` judges the whole log. Their anchor, a MAC over the head, becomes our checkpoint, signed over
the ledger that has this head: one that was rewritten is held to the checkpoint of the one that was anchored.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.caveat import Attempt
from answerable.core.mandate.constraint import Max
from answerable.core.mandate.delegation_chain import Chain, chain_failure
from answerable.core.mandate.hop_signing import HopTerms, issue_root
from answerable.core.mandate.hop_token import confirmation_of, signing_hash
from answerable.errors import Malformed, Unverified
from answerable.testing.delegation import (
    ALICE,
    ISSUER,
    MISSION,
    NOW,
    SERVICE,
    agent_key,
    claims_in,
    forged,
    verify,
)
from answerable.testing.samples import AUDIENCE
from tests.worlds.ledger import ForgedLog, checked, end, entry, intent, prelude, rules, run_after

NO_END_SECONDS = 10**9
"""For what their ledger says has no end."""
NOWHERE = 1_000_000
"""An entry that no log here has: what an outcome ends whose call was never allowed."""


def delegation_faults(entries: list[Any]) -> list[tuple[str, int]]:
    """Which events our verifier of chains refuses, in their words: `monotonicity` of a hop, `containment` of an action."""
    events = [one for one in entries if isinstance(one, dict)]
    used = sorted({one["scope"] for one in events if one.get("event") == "allow" and one["context"]})
    chains: dict[str, tuple[str, ...]] = {}
    found: list[tuple[str, int]] = []
    for event in events:
        match event:
            case {"event": "root", "node": str(node), "authority": dict(authority)}:
                chains[node] = (first_hop(event["agent"], node, authority, used),)
            case {"event": "spawn", "node": str(node), "parent": str(parent), "granted": dict(granted)}:
                above = chains[parent]
                chains[node] = (*above, hop_below(above, event["agent"], node, granted, used))
                try:
                    verify(chains[node])
                except (Malformed, Unverified) as refused:
                    assert refused.code in ("delegation.not_narrower", "delegation.expired"), refused
                    found.append(("monotonicity", event["seq"]))
            case {"event": "allow", "node": str(node), "scope": str(scope), "context": dict(facts)}:
                if event.get("policy") != "unlisted" and failed(verified_or_root(chains[node]), scope, facts):
                    found.append(("containment", event["seq"]))
    return found


def verified_or_root(tokens: tuple[str, ...]) -> Chain:
    """What an action came by. Below a hop that does not hold, what the hops above it still have."""
    try:
        return verify(tokens)
    except (Malformed, Unverified):
        return verify(tokens[:-1])


def failed(chain: Chain, scope: str, facts: Mapping[str, JSONValue]) -> bool:
    attempt = Attempt(
        capability=scope, environment="", resource_type="", resource_id="", arguments=dict(facts)
    )
    return chain_failure(chain, attempt) is not None


def authority_of(wire: Mapping[str, Any], used: Iterable[str]) -> Authority:
    bounds = [
        Max(key=f"argument:{name}:rows", bound=one["max"]) for one in wire["constraints"] for name in used
    ]
    return Authority(scopes=tuple(wire["scopes"]), constraints=tuple(bounds))


def seconds_of(wire: Mapping[str, Any]) -> int:
    return NO_END_SECONDS if wire["ttl"] is None else int(wire["ttl"])


def terms(agent: str, node: str, wire: Mapping[str, Any], used: Iterable[str], **more: Any) -> HopTerms:
    return HopTerms(
        jti=node,
        agent=agent,
        confirmation=confirmation_of(agent_key(agent).public),
        audiences=(AUDIENCE,),
        authority=authority_of(wire, used),
        issued_at=NOW,
        expires_at=UnixMillis(NOW + seconds_of(wire) * 1000),
        **more,
    )


def first_hop(agent: str, node: str, wire: Mapping[str, Any], used: Iterable[str]) -> str:
    made = terms(agent, node, wire, used, depth_limit=6)
    return issue_root(made, issuer=ISSUER, principal=ALICE, mission=MISSION, key=SERVICE)


def hop_below(
    above: tuple[str, ...], agent: str, node: str, wire: Mapping[str, Any], used: Iterable[str]
) -> str:
    """Signed past our own functions, which mint nothing that is wider than its parent."""
    like = claims_in(first_hop(agent, node, wire, used))
    like.pop("del_max_depth")
    claims = {**like, "del_depth": len(above), "par_hash": signing_hash(above[-1])}
    return forged(claims, SERVICE)


def told_as_ours(entries: list[Any]) -> list[Entry]:
    """Their events as our entries, one for one, after what stands before the first intent."""
    first = len(prelude())
    begun: dict[str, tuple[Entry, int]] = {}
    # Where an outcome stands before its call, our entry can only name a place that comes later.
    for at, event in enumerate(entries):
        if isinstance(event, dict) and event.get("event") == "allow":
            action = str(event.get("call_id", f"call {at}"))
            begun.setdefault(action, (begins(action, event), first + at))
    return [*prelude(), *(as_ours(event, at, begun) for at, event in enumerate(entries))]


def begins(action: str, event: Mapping[str, Any]) -> Entry:
    """An allowed action, in a run of its own: theirs have none."""
    return intent(action, encode(event), run=run_after(run_id=sha256(encode(event)).hexdigest()[:16]))


def as_ours(event: Any, at: int, begun: Mapping[str, tuple[Entry, int]]) -> Entry:
    match event:
        case {"event": "allow"}:
            action = str(event.get("call_id", f"call {at}"))
            own = begun[action]
            return own[0] if own[1] == len(prelude()) + at else begins(action, event)
        case {"event": "outcome"}:
            action = str(event.get("call_id", "of no call"))
            intended, index = begun.get(action, (intent(action), NOWHERE))
            return end(intended, index, action, payload=encode(event))
        case dict():
            # What has no like of ours is kept byte for byte, as entries that a reader does not know are.
            return entry(Tag.GAP, {"origin": "told", "why": str(event.get("event"))}, encode(event))
    return Entry(tag=Tag.OUTCOME, leaf=encode(event), attachment=b"")


def ledger_faults(bundle: Mapping[str, Any], anchored: list[Any], folder: Path) -> set[str]:
    """What `verify_ledger` finds in a ledger told as ours, under the checkpoint of the one that was anchored."""
    ours, theirs = told_as_ours(bundle["entries"]), told_as_ours(anchored)
    log = ForgedLog(directory=folder / "log", entries=ours, seals=(len(ours),)).written()
    if anchored != bundle["entries"]:
        other = ForgedLog(directory=folder / "anchored", entries=theirs, seals=(len(theirs),)).written()
        for name in ("checkpoint", "checkpoints.log", "head"):
            if (other.directory / name).exists():
                shutil.copy(other.directory / name, log.directory / name)
    return rules(checked(dataclasses.replace(log)))


def head_of(entries: list[Any]) -> str:
    """The hash of the last entry, by their rule; empty where an entry is none or its stored hash is another one."""
    before = "0" * 64
    for one in entries:
        if not isinstance(one, dict):
            return ""
        rest = {member: one[member] for member in one if member != "hash"}
        before = sha256(before.encode() + encode(rest)).hexdigest()
        if before != one["hash"]:
            return ""
    return before


def anchored_ledger(bundle: Mapping[str, Any], known: Iterable[list[Any]]) -> list[Any]:
    """The ledger that an anchor was made over: this one, or another of the set that has the head it names."""
    head = bundle.get("anchor", {}).get("head")
    own: list[Any] = bundle["entries"]
    if head is None or head_of(own) == head:
        return own
    found = [entries for entries in known if head_of(entries) == head]
    return json.loads(json.dumps(found[0])) if found else own
