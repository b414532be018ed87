"""Find the actions that ran under a given prompt, model or manifest, by the index, and how well each fact was known at
the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from answerable.api.ledger_answers import ActionUnder, MadeOfField
from answerable.core.incident.timeline import told
from answerable.core.incident.under_manifest import fields_then, manifest_told
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kind_of, kinds_of
from answerable.core.search.query import Cursor, Query, Term
from answerable.errors.codes.ledger import TIMELINE_MANIFEST_UNKNOWN

if TYPE_CHECKING:
    from answerable.core.incident.timeline import Moment
    from answerable.core.incident.under_manifest import WantedManifest
    from answerable.core.registry.manifests.manifest import Manifest
    from answerable.flows.forensics.tell_story import StoryTeller
    from answerable.ports.search_index import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundActions:
    """One page of the answer.

    `manifests`: digests of the registered manifests that match, in order. `unread`: number of other manifests whose
    content cannot be read, so that their actions are missing. `actions`: oldest first. `next`: cursor of the page after
    this; empty where there is none.
    """

    manifests: tuple[str, ...]
    unread: int
    actions: tuple[ActionUnder, ...]
    next: str


def find_under(
    teller: StoryTeller, wanted: WantedManifest, *, limit: int, after: Cursor | None = None
) -> FoundActions:
    """Return the actions that set out under a matching manifest, of any agent and at any time.

    Raises Refused (`timeline.manifest_unknown`) if the ledger has no such manifest, Unavailable, and Broken as the
    index and the log do.
    """
    registered = _registered(teller)
    fitting = tuple(digest for digest, made in registered.items() if wanted.fits(digest, made))
    # An intent may name a manifest that another log has registered.
    is_elsewhere = wanted.digest not in registered and wanted.fits(wanted.digest, None)
    named = (wanted.digest,) if is_elsewhere else fitting
    under = Query(terms=(Term("manifest", named), Term("kind", kinds_of((Tag.INTENT,)))))
    found = [*islice(teller.index.candidates(under, after, oldest_first=True), limit + 1)]
    unread = sum(1 for digest, made in registered.items() if made is None and digest not in fitting)
    if not (fitting or found):
        more = f"; {unread} other manifests cannot be read here" if unread else ""
        raise TIMELINE_MANIFEST_UNKNOWN(f"no manifest in the ledger has {wanted.told()}{more}")
    telling = _Telling(teller, registered)
    last = found[limit - 1] if len(found) > limit else None
    return FoundActions(
        manifests=fitting,
        unread=unread,
        actions=tuple(telling.action(one) for one in found[:limit]),
        next=Cursor(last.at, last.entry).formatted() if last is not None else "",
    )


def _registered(teller: StoryTeller) -> dict[str, Manifest | None]:
    """Return the registered manifests by digest, oldest first; None for one whose content cannot be read."""
    found: dict[str, Manifest | None] = {}
    wanted = Query(terms=(Term("kind", (kind_of(Tag.MANIFEST_REGISTERED),)),))
    for candidate in teller.index.candidates(wanted, None, oldest_first=True):
        moment = teller.opened(candidate.entry)
        digest = str(moment.leaf.get("manifest"))
        found[digest] = found.get(digest) or manifest_told(moment.leaf, moment.payload)
    return found


@dataclass(slots=True)
class _Telling:
    """Tells the actions of one page. enrolled: by instance the entries that measured it, oldest first, each with the
    fields in which it differed and the instance above."""

    teller: StoryTeller
    registered: dict[str, Manifest | None]
    enrolled: dict[str, list[tuple[int, tuple[str, ...], str]]] = field(default_factory=dict)

    def action(self, candidate: Candidate) -> ActionUnder:
        moment = self.teller.opened(candidate.entry)
        leaf = moment.leaf
        evidence, digest = leaf.get("evidence"), str(leaf.get("manifest"))
        manifest, line = self.registered.get(digest), told(moment)
        fields = fields_then(manifest, leaf, self._drift(moment)) if manifest is not None else ()
        ended = self.teller.opened(candidate.ended).leaf if candidate.ended is not None else {}
        return ActionUnder(
            index=line.index,
            at=line.when(),
            action=str(leaf.get("action")),
            agent=str(leaf.get("agent")),
            instance=str(leaf.get("instance") or ""),
            manifest=digest,
            drifted=isinstance(evidence, dict) and evidence.get("drifted") is True,
            made_of=tuple(
                MadeOfField(field=one.field, says=one.says, grade=one.grade, standing=one.standing)
                for one in fields
            ),
            outcome=str(ended.get("status", "")),
            text=line.text,
            details=tuple(line.details),
        )

    def _drift(self, moment: Moment) -> tuple[str, ...]:
        """Return the fields in which the instance of an intent was known to differ."""
        drift, parent = self._measured(str(moment.leaf.get("instance") or ""), moment.index)
        # A sub-agent inherits the drift of its parent.
        return (*drift, *self._measured(parent, moment.index)[0])

    def _measured(self, instance: str, before: int) -> tuple[tuple[str, ...], str]:
        """Return what the last entry before this one says of an instance."""
        if instance and instance not in self.enrolled:
            self.enrolled[instance] = [*self._enrolments(instance)]
        known = [one for one in self.enrolled.get(instance, ()) if one[0] < before]
        return known[-1][1:] if known else ((), "")

    def _enrolments(self, instance: str) -> list[tuple[int, tuple[str, ...], str]]:
        terms = (Term("instance", (instance,)), Term("kind", (kind_of(Tag.WORKLOAD_ENROLLED),)))
        found = []
        for candidate in self.teller.index.candidates(Query(terms=terms), None, oldest_first=True):
            leaf = self.teller.opened(candidate.entry).leaf
            # Those of its sub-agents name it, too.
            if leaf.get("instance") == instance:
                names = leaf.get("drift")
                drift = tuple(map(str, names)) if isinstance(names, list) else ()
                found.append((candidate.entry, drift, str(leaf.get("parent") or "")))
        return found
