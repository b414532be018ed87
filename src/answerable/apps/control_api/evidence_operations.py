"""Evidence: export bundles of entries with proofs, which third parties can verify."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.api import evidence_answers as answers
from answerable.apps.control_api.operation import Operation, operation
from answerable.core.evidence.bundle import ENTRIES_MAX
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.ledger.assemble_evidence import REVEALS_MAX, Selection, assemble_evidence
from answerable.ports.search_process import SELECTION, SelectionQuestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.apps.control_api.call import Call
    from answerable.core.canonical import JSONValue


@operation(
    "POST",
    "/v1/evidence",
    id="export_evidence",
    summary="A bundle of entries with proofs and chosen fields, for strangers to verify offline",
    answer=answers.Evidence,
    body=answers.EvidenceRequest,
)
async def export_evidence(call: Call) -> answers.Evidence:
    """Return a bundle of the named entries, or of all about an action or a mandate, with the fields that may be
    revealed."""
    body = call.members("entries", "about", "reveal", "replay")
    about = body.texts_by_name("about")
    if not about.keys() <= {"action", "mandate"}:
        raise REQUEST_BODY("/about: expected `action` or `mandate`")
    indexes = _indexes(body.items("entries"))
    reveal = _names(body.items("reveal"))
    action, mandate, replay = about.get("action", ""), about.get("mandate", ""), body.flag("replay")
    selection = Selection(indexes=indexes, action=action, mandate=mandate, replay=replay)
    ledger = call.walk.recorder.ledger
    selected: Iterable[int]
    if selection.needs_all:
        question = SelectionQuestion(
            indexes=tuple(sorted(indexes)), action=action, mandate=mandate, replay=replay
        )
        selected = (await call.product.searches.ask(SELECTION, question)).items
    else:
        for index in sorted(indexes):
            selection.take(ledger.entry(index))
        selected = selection.entries()
    evidence = await to_thread.run_sync(
        partial(
            assemble_evidence,
            selected,
            replay=replay,
            reveal=reveal,
            entry=ledger.entry,
            published=call.product.published,
            find=call.walk.recorder.subject_keys.find,
            policy=call.product.policy(),
        )
    )
    return answers.Evidence(
        bundle=b64encode(evidence.bundle).decode(),
        origin=evidence.origin,
        size=evidence.size,
        entries=tuple(evidence.entries),
        shown=evidence.shown,
        withheld=tuple(evidence.withheld),
        witnessed=evidence.witnessed,
    )


def _indexes(items: tuple[JSONValue, ...]) -> frozenset[int]:
    indexes = frozenset(one for one in items if type(one) is int and one >= 0)
    if len(indexes) != len(items) or len(indexes) > ENTRIES_MAX:
        raise REQUEST_BODY(f"/entries: expected at most {ENTRIES_MAX} indexes, each once")
    return indexes


def _names(items: tuple[JSONValue, ...]) -> tuple[str, ...]:
    names = tuple(one for one in items if isinstance(one, str))
    if len(names) != len(items) or len(names) > REVEALS_MAX:
        raise REQUEST_BODY(f"/reveal: expected at most {REVEALS_MAX} names of fields")
    return names


OPERATIONS: Final[tuple[Operation, ...]] = (export_evidence,)
