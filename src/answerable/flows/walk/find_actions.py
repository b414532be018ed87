"""Find the actions that ran under a given prompt, model or manifest, and how well each fact was known at the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.api import ledger_answers
from answerable.core.incident.timeline import told
from answerable.core.incident.under_manifest import fields_then, manifest_told
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors.codes.ledger import TIMELINE_MANIFEST_UNKNOWN
from answerable.flows.forensics.opened_moment import opened_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.incident.timeline import Line
    from answerable.core.incident.under_manifest import FieldThen, WantedManifest
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.registry.manifests.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionUnder:
    """An action that set out under a matching manifest.

    `manifest`: digest. `drifted`: whether the running agent was known to differ from the manifest. `made_of`: the
    manifest's fields, each with the evidence for it at the time; empty if the manifest cannot be read. `outcome`: how
    the action ended; empty if not known. `line`: the intent as a sentence.
    """

    action: str
    agent: str
    instance: str
    manifest: str
    drifted: bool
    made_of: tuple[FieldThen, ...]
    outcome: str
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundActions:
    """The result of a search.

    `manifests`: digests of the registered manifests that match, in order. `unread`: number of other manifests whose
    content cannot be read, so that their actions are missing. `actions`: in ledger order.
    """

    manifests: tuple[str, ...]
    unread: int
    actions: tuple[ActionUnder, ...]


def find_actions(
    entries: Iterable[StoredEntry], wanted: WantedManifest, find_key: Callable[[bytes], SubjectKey | None]
) -> FoundActions:
    """Return every action that set out under a matching manifest, of any agent and at any time.

    Raises Refused (`timeline.manifest_unknown`) if the ledger has no such manifest, Broken (`ledger.leaf_malformed`).
    """
    manifests: dict[str, Manifest | None] = {}
    drift: dict[str, tuple[str, ...]] = {}
    parents: dict[str, str] = {}
    intents: list[tuple[StoredEntry, dict[str, JSONValue], tuple[str, ...]]] = []
    ended: dict[str, str] = {}
    for stored in entries:
        match stored.tag:
            case Tag.MANIFEST_REGISTERED:
                moment = opened_moment(stored, find_key)
                digest = str(moment.leaf.get("manifest"))
                manifests[digest] = manifests.get(digest) or manifest_told(moment.leaf, moment.payload)
            case Tag.WORKLOAD_ENROLLED:
                leaf = leaf_of(stored)
                names, parent = leaf.get("drift"), str(leaf.get("parent") or "")
                drift[str(leaf.get("instance"))] = tuple(map(str, names)) if isinstance(names, list) else ()
                parents[str(leaf.get("instance"))] = parent
            case Tag.INTENT:
                leaf = leaf_of(stored)
                if leaf.get("manifest"):
                    instance = str(leaf.get("instance"))
                    # A sub-agent inherits the drift of its parent.
                    known = (*drift.get(instance, ()), *drift.get(parents.get(instance, ""), ()))
                    intents.append((stored, leaf, known))
            case Tag.OUTCOME | Tag.INDETERMINATE:
                leaf = leaf_of(stored)
                ended[str(leaf.get("action"))] = str(leaf.get("status"))
    # An intent may name a manifest that another log has registered.
    named = {*manifests, *(str(leaf["manifest"]) for _, leaf, _ in intents)}
    fitting = {digest for digest in named if wanted.fits(digest, manifests.get(digest))}
    actions = tuple(
        _action(stored, leaf, known, manifests.get(str(leaf["manifest"])), ended, find_key)
        for stored, leaf, known in intents
        if str(leaf["manifest"]) in fitting
    )
    unread = sum(1 for digest, made in manifests.items() if made is None and digest not in fitting)
    if not fitting:
        more = f"; {unread} other manifests cannot be read here" if unread else ""
        raise TIMELINE_MANIFEST_UNKNOWN(f"no manifest in the ledger has {wanted.told()}{more}")
    return FoundActions(
        manifests=tuple(digest for digest in manifests if digest in fitting), unread=unread, actions=actions
    )


def action_told(one: ActionUnder) -> ledger_answers.ActionUnder:
    """Return the action for programs, as the control API answers it."""
    return ledger_answers.ActionUnder(
        index=one.line.index,
        at=one.line.when(),
        action=one.action,
        agent=one.agent,
        instance=one.instance,
        manifest=one.manifest,
        drifted=one.drifted,
        made_of=tuple(
            ledger_answers.MadeOfField(
                field=field.field, says=field.says, grade=field.grade, standing=field.standing
            )
            for field in one.made_of
        ),
        outcome=one.outcome,
        text=one.line.text,
        details=tuple(one.line.details),
    )


def _action(
    stored: StoredEntry,
    leaf: dict[str, JSONValue],
    drift: tuple[str, ...],
    manifest: Manifest | None,
    ended: dict[str, str],
    find_key: Callable[[bytes], SubjectKey | None],
) -> ActionUnder:
    evidence, action = leaf.get("evidence"), str(leaf.get("action"))
    return ActionUnder(
        action=action,
        agent=str(leaf.get("agent")),
        instance=str(leaf.get("instance") or ""),
        manifest=str(leaf["manifest"]),
        drifted=isinstance(evidence, dict) and evidence.get("drifted") is True,
        made_of=fields_then(manifest, leaf, drift) if manifest is not None else (),
        outcome=ended.get(action, ""),
        line=told(opened_moment(stored, find_key)),
    )
