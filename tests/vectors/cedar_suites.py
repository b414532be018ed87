"""Cedar's own tests, read from their files or in memory from their archive, and asked by way of our slices.

What a request passes through is ours but for the names: the bounds on policy text, heads and their index, mentions and
what is written into a policy instead of the context, the policies in the form that the engine is given, the call into
Cedar, the reading of its answer, and the weighing. What is not: our own schema, entities and context, for these tests
bring theirs.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cedarpy
import msgspec

from answerable.adapters.cedar.engine import CedarRequest, Engine, Evaluate
from answerable.adapters.cedar.heads import Head, HeadIndex, head_of
from answerable.adapters.cedar.mentions import Mentions, folded, mentions_of
from answerable.core.registry.policy_sets.policy_text import statements
from answerable.adapters.cedar.publishing import Policy, engine_policies
from answerable.core.decision.decision import Decision, Evaluation, PolicyNote, weigh

ARCHIVE = "corpus-tests.tar.gz"
ERRORS_KEPT_MAX = 8
Uid = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One policy text with entities and a schema, and what Cedar answers to some requests."""

    name: str
    policies: str
    entities: str
    schema: str
    validates: bool
    requests: tuple[dict[str, Any], ...]


def written_by_hand(root: Path) -> Iterator[Suite]:
    for path in sorted((root / "tests").glob("*/*.json")):
        spec = json.loads(path.read_text("utf-8"))
        files = {what: (root / spec[what]).read_text("utf-8") for what in ("policies", "entities", "schema")}
        # These leave to the schema which objects are references; we always write references explicitly.
        files["entities"] = str(cedarpy.Entities.from_json_str(files["entities"], files["schema"]))
        yield _suite(path.relative_to(root).as_posix(), spec, files)


@cache
def archived(root: Path) -> tuple[Suite, ...]:
    """All that the generator of the Cedar project made, by name; 49 MB, never unpacked to disk."""
    files: dict[str, str] = {}
    with tarfile.open(root / ARCHIVE) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                files[member.name] = content.read().decode()
    found = []
    for name in sorted(files):
        if name.endswith(".json") and not name.endswith(".entities.json"):
            spec = json.loads(files[name])
            parts = {what: files[spec[what]] for what in ("policies", "entities", "schema")}
            found.append(_suite(name, spec, parts))
    return tuple(found)


def _suite(name: str, spec: dict[str, Any], files: Mapping[str, str]) -> Suite:
    return Suite(
        name=name,
        policies=files["policies"],
        entities=files["entities"],
        schema=files["schema"],
        validates=spec["shouldValidate"],
        requests=tuple(spec["requests"]),
    )


class Sliced:
    """A policy text as our decision point keeps it, over entities and requests of anybody."""

    def __init__(self, suite: Suite, engine: Engine) -> None:
        statements(suite.policies)
        parsed = json.loads(cedarpy.policies_to_json_str(suite.policies))
        assert not parsed["templates"], suite.name
        self._policies = tuple(_policy(name, ast) for name, ast in parsed["staticPolicies"].items())
        self._index = HeadIndex(policy.head for policy in self._policies)
        self._entities = suite.entities
        self._above = _ancestors(json.loads(suite.entities))
        self._engine = engine
        self._bound: dict[tuple[bytes, ...], Evaluate] = {}

    @property
    def size(self) -> int:
        """Of the whole set."""
        return len(self._policies)

    def answer(self, wanted: Mapping[str, Any]) -> tuple[Evaluation, Decision, int]:
        """What is evaluated and decided, and by how many policies."""
        chosen = self._slice(wanted)
        members = {name: _scalars(value) for name, value in wanted["context"].items() if _is_record(value)}
        written = tuple(_written(policy, members) for policy in chosen)
        request: CedarRequest = {key: wanted[key] for key in ("principal", "action", "resource")}
        request["context"] = json.dumps(_trimmed(wanted["context"], written))
        found = self._evaluate(written)(request)

        def without(ids: tuple[str, ...]) -> Evaluation:
            raise AssertionError(f"nothing lifts {ids}")

        decision = weigh(found, notes={}, without=without, approval=None, policy_set="0" * 64)
        return found, decision, len(chosen)

    def _slice(self, wanted: Mapping[str, Any]) -> tuple[Policy, ...]:
        principal, action, resource = (
            self._with_above(_uid(wanted[key])) for key in ("principal", "action", "resource")
        )

        def fits(head: Head) -> bool:
            # A head says which type, which id, or both; whatever the resource is in may be meant.
            return any(head.fits(kind, name) for kind, _ in resource for _, name in resource)

        numbers = self._index.naming(principals=principal, actions=action, fits=fits)
        return tuple(self._policies[number] for number in numbers)

    def _with_above(self, uid: Uid) -> tuple[Uid, ...]:
        return (uid, *self._above.get(uid, ()))

    def _evaluate(self, policies: tuple[Policy, ...]) -> Evaluate:
        key = tuple(policy.id.encode() + bytes(policy.json) for policy in policies)
        if key not in self._bound:
            self._bound[key] = self._engine(engine_policies(policies), self._entities)
        return self._bound[key]


def disagreement(found: Evaluation, decision: Decision, wanted: Mapping[str, Any]) -> str | None:
    """Cedar skips a policy that errs; here any error is a deny without determining policies."""
    errors, reasons = wanted["errors"], tuple(sorted(wanted["reason"]))
    if errors:
        told = [name for name in errors if any(f"`{name}`" in error for error in found.errors)]
        right = (
            len(told) >= min(len(errors), ERRORS_KEPT_MAX)
            and not found.allowed
            and not found.determining
            and (decision.effect, decision.determined_by) == ("deny", ("policy.error",))
        )
    else:
        allows = wanted["decision"] == "allow"
        right = (
            found == Evaluation(allowed=allows, determining=reasons)
            and decision.effect == ("allow" if allows else "deny")
            and decision.determined_by == (reasons or ("policy.default_deny",))
        )
    return None if right else f"{wanted['description']}: {found}"


def _policy(name: str, ast: dict[str, Any]) -> Policy:
    conditions = ast.get("conditions")
    bare = {key: value for key, value in ast.items() if key != "annotations"}
    return Policy(
        id=name,
        forbids=ast["effect"] == "forbid",
        conditional=bool(conditions),
        head=head_of(ast),
        mentions=mentions_of(conditions),
        note=PolicyNote(reason=name),
        json=msgspec.Raw(msgspec.json.encode(bare)),
    )


def _written(policy: Policy, members: Mapping[str, Mapping[str, Any]]) -> Policy:
    """As `specialised` does with the facts of a capability: here with whatever the context has that is a record."""
    ast = msgspec.json.decode(policy.json)
    conditions = ast.get("conditions")
    for member, facts in members.items():
        conditions = folded(conditions, member=member, facts=dict(facts))
    encoded = msgspec.Raw(msgspec.json.encode({**ast, "conditions": conditions}))
    return replace(policy, mentions=mentions_of(conditions), json=encoded)


def _trimmed(context: Mapping[str, Any], policies: tuple[Policy, ...]) -> dict[str, Any]:
    mentions = Mentions()
    for policy in policies:
        mentions = mentions.joined(policy.mentions)
    trimmed: dict[str, Any] = {}
    for name, value in context.items():
        inside = mentions.inside(name)
        if inside is None:
            trimmed[name] = value
        elif inside:
            whole = not _is_record(value)
            trimmed[name] = value if whole else {key: one for key, one in value.items() if key in inside}
    return trimmed


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and not any(key in value for key in ("__entity", "__extn", "__expr"))


def _scalars(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if isinstance(value, str | int)}


def _uid(value: Mapping[str, Any]) -> Uid:
    return value["type"], value["id"]


def _ancestors(entities: list[dict[str, Any]]) -> dict[Uid, tuple[Uid, ...]]:
    parents = {_entity(one["uid"]): [_entity(parent) for parent in one["parents"]] for one in entities}
    found = {}
    for uid in parents:
        seen: dict[Uid, None] = {}
        pending = list(parents[uid])
        while pending:
            above = pending.pop()
            if above not in seen:
                seen[above] = None
                pending.extend(parents.get(above, ()))
        found[uid] = tuple(seen)
    return found


def _entity(value: Mapping[str, Any]) -> Uid:
    return _uid(value.get("__entity", value))
