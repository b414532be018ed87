"""The ledger and the overall status: entries, checkpoints, actions under a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable import __version__
from answerable.api import ledger_answers as answers
from answerable.api.members import Nothing, Page
from answerable.apps.control_api.call import instant, page_limit
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import DIGEST, TEXT
from answerable.core.incident.timeline import told
from answerable.core.incident.under_manifest import wanted_manifest
from answerable.core.search.log_cursors import check_cursor
from answerable.errors import shown
from answerable.errors.codes.ledger import LEDGER_ENTRY_UNKNOWN
from answerable.errors.codes.services import REQUEST_PATH
from answerable.flows.approval.owed_reviews import counted_reviews
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.ledger.greet_shards import shard_processes
from answerable.flows.tokens.trace_mandate import mandates_in
from answerable.ports.search_process import UNDER, UnderQuestion

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.flows.ledger.gather_cosignatures import WitnessState
    from answerable.flows.state.worlds import PlanDifference

_MADE_OF: Final = (
    ("manifest", DIGEST, "under this manifest"),
    ("prompt", TEXT, "under manifests that say this prompt: its digest"),
    ("model", TEXT, "under manifests that say this model: NAME, or NAME@VERSION"),
)


@operation(
    "GET",
    "/v1/status",
    id="show_status",
    summary="How the product is",
    answer=answers.Status,
)
async def show_status(call: Call) -> answers.Status:
    """Return the overall status."""
    walk = call.walk
    now = walk.clock.now()
    owed = counted_reviews(walk.authority.approvals, walk.limits, walk.clock)
    state, entries, reason = await call.product.searches.told()
    processes = await shard_processes(walk.live.link, walk.recorder.ledger.origin)
    return answers.Status(
        version=__version__,
        origin=walk.recorder.ledger.origin,
        entries=walk.recorder.ledger.size,
        open_intents=len(walk.recorder.open_intents),
        approvals_pending=sum(1 for _ in walk.authority.approvals.all(pending_only=True, now=now)),
        reviews_owed=sum(owed.values()),
        reviews_overdue=owed["overdue"],
        mandates_open=len(await mandates_in(walk.authority, "open")),
        policy_set=walk.policies.decision_point.policy_set,
        policy_publishers=walk.policies.publishers,
        registry=walk.authority.registry.current.digest,
        servers=dict(call.product.server_states()),
        witnesses=tuple(_witness(one) for one in call.product.witness_states()),
        shards=tuple(
            answers.Shard(
                origin=one.origin,
                state=one.state,
                covered=one.size,
                reason=one.reason,
                process=processes.get(one.origin, "silent"),
            )
            for one in call.product.shard_states()
        ),
        unreadable=tuple(
            answers.UnreadableRow(what=what, name=name, why=why)
            for what, name, why in call.product.unreadable_rows()
        ),
        registers=tuple(call.product.registers_told()),
        search=answers.SearchProcess(state=state, entries=entries, reason=reason),
        logs=tuple(
            answers.TargetLog(
                targets=one.targets,
                kind=one.kind,
                path=one.path,
                state=one.state,
                reason=one.reason,
                lines=one.lines,
            )
            for one in call.product.searches.told_of_logs()
        ),
        alarms=_alarms(walk.verification.plans.difference),
    )


def _alarms(difference: PlanDifference | None) -> tuple[str, ...]:
    if difference is None:
        return ()
    return (
        f"{difference.count} of the plans kept of actions differed from one made anew, last at "
        f"{instant(difference.at)} in {difference.what}: each time all plans were dropped and the action was not done",
    )


def _witness(state: WitnessState) -> answers.Witness:
    return answers.Witness(
        name=state.name,
        state=state.state,
        size=state.size,
        cosigned_at=instant(state.cosigned_at) if state.cosigned_at else None,
        reason=state.reason,
        since=instant(state.since) if state.since else None,
    )


@operation(
    "GET",
    "/v1/ledger",
    id="show_ledger",
    summary="Name, size, key and latest checkpoint of the ledger",
    answer=answers.Ledger,
)
async def show_ledger(call: Call) -> answers.Ledger:
    """Return the name, size, key and latest checkpoint."""
    return answers.Ledger(
        origin=call.walk.recorder.ledger.origin,
        entries=call.walk.recorder.ledger.size,
        checkpoint=call.product.checkpoint(),
        key=call.product.log_key,
    )


@operation(
    "POST",
    "/v1/ledger/seal",
    id="seal_ledger",
    summary="Sign a checkpoint over everything that is durable",
    answer=answers.Checkpoint,
    body=Nothing,
)
async def seal_ledger(call: Call) -> answers.Checkpoint:
    """Sign a checkpoint over all durable entries."""
    return answers.Checkpoint(checkpoint=call.walk.recorder.ledger.seal())


@operation(
    "GET",
    "/v1/ledger/entries/{index}",
    id="show_entry",
    summary="One entry, opened",
    answer=answers.Entry,
)
async def show_entry(call: Call) -> answers.Entry:
    """Return one entry, opened, with its sentence."""
    text = call.path["index"]
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise REQUEST_PATH(f"{shown(text)} is not the index of an entry")
    ledger = call.walk.recorder.ledger
    if int(text) >= ledger.size:
        raise LEDGER_ENTRY_UNKNOWN(f"there is no entry {text}: the ledger has {ledger.size}")
    # The first entry of a part that nobody has read yet takes milliseconds to find.
    stored = await to_thread.run_sync(ledger.entry, int(text))
    moment = opened_moment(stored, call.walk.recorder.subject_keys.find)
    line = told(moment)
    return answers.Entry(
        index=stored.index,
        tag=stored.tag,
        kind=line.kind,
        leaf_hash=stored.leaf_hash.hex(),
        leaf=dict(moment.leaf),
        payload=None if moment.payload is None else dict(moment.payload),
        sentence=line.text,
        details=tuple(line.details),
    )


@operation(
    "GET",
    "/v1/actions/under",
    id="find_actions",
    summary="Actions that ran under a manifest, prompt or model, with how well each field was known at each",
    answer=Page[answers.ActionUnder],
    query=_MADE_OF,
    of_index=True,
)
async def find_under(call: Call) -> Page[answers.ActionUnder]:
    """Return the actions that ran under a manifest, prompt or model, oldest first."""
    manifest, prompt, model = (call.query.get(name, "") for name in ("manifest", "prompt", "model"))
    wanted_manifest(manifest=manifest, prompt=prompt, model=model)
    cursor = call.query.get("cursor", "")
    check_cursor(cursor)
    question = UnderQuestion(
        manifest=manifest, prompt=prompt, model=model, limit=page_limit(call), cursor=cursor
    )
    found = await call.product.searches.ask(UNDER, question)
    return Page(items=found.items, next=found.next or None)


OPERATIONS: Final[tuple[Operation, ...]] = (
    show_status,
    find_under,
    show_ledger,
    seal_ledger,
    show_entry,
)
