"""Put policy sets into force: policy status, propose, proposals, show, publish, withdraw, history, rollback."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from msgspec import UNSET

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import PENDING
from answerable.apps.cli.policy_attached import attached_lines
from answerable.apps.cli.policy_simulation import period, simulated
from answerable.apps.cli.policy_sources import Removed, Sources, gathered
from answerable.errors import Unavailable, Unverified
from answerable.errors.codes.policy import PUBLICATION_SUPERSEDED
from answerable.errors.codes.search import SEARCH_OFF
from answerable.errors.codes.services import CLI_DIGEST, CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.api.policy_answers import PolicyApplied, PolicySets, SetChange, ShownProposal
    from answerable.apps.cli.control import Control
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.policy_sets.publication import PublicationStep

Person = Annotated[str, typer.Option("--as", help="Your registered name.", metavar="PERSON")]
KeyFile = Annotated[Path, typer.Option("--key", help="Your key file.", metavar="FILE")]
Comment = Annotated[str, typer.Option("--comment", help="Reason, for the record.")]
ProposalId = Annotated[str, typer.Argument(help="Id of the proposal.", metavar="ID")]

ALONE: Final = (
    "one person can change policies here: name a group in `policy.publishers` of the settings, so that it "
    "takes two"
)


def register(group: typer.Typer) -> None:
    """Add the verbs to the noun `policy`."""
    command(group, "status", reads=True)(status)
    command(group, "propose", reads=True, asks=True)(propose)
    command(group, "proposals", reads=True)(proposals)
    command(group, "show", reads=True)(show)
    command(group, "publish", reads=True, asks=True)(publish)
    command(group, "withdraw", reads=True, asks=True)(withdraw)
    command(group, "history", reads=True)(history)
    command(group, "rollback", reads=True, asks=True)(rollback)


def status(shell: Shell) -> int | None:
    """Which policy sets are in force, and who may change them."""
    from answerable.client import policy_calls

    with shell.control() as control:
        found = policy_calls.show_policies(control)
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return None
    shell.terminal.record(
        [
            ("policy sets", found.sets or ["none: no action is allowed"]),
            ("documents", found.documents),
            ("in decisions", found.policy_set),
            ("publishers", found.publishers or "anyone who can apply documents"),
            ("proposals", found.proposals),
        ]
    )
    if not found.publishers:
        shell.terminal.warn(ALONE)
    return None


def propose(
    shell: Shell,
    person: Person,
    key: KeyFile,
    sources: Sources = None,
    remove: Removed = None,
    since: Annotated[
        str,
        typer.Option(
            "--since", help="Simulate it over this period first, such as 7d; or `none`.", metavar="TIME"
        ),
    ] = "7d",
    comment: Comment = "",
) -> int | None:
    """Sign a change of policy sets, for another person to publish.

    A directory is checked and its tests are run first, and the change is simulated; how that went is attached and
    recorded. Exit code 4: it waits.
    """
    from answerable.api.policy_answers import PolicySets, ProposalRequest
    from answerable.client import policy_calls
    from answerable.core.canonical import encode

    with shell.control() as control:
        documents, tests = gathered(control, sources or [], shell.settings().walk.signatures)
        sets = PolicySets(documents=tuple(documents), removed=tuple(remove or ()))
        plan = policy_calls.plan_policies(control, sets)
        said: dict[str, JSONValue] = {"tests": tests} if tests else {}
        if since != "none":
            said["simulation"] = _simulated(shell, control, sets, since)
        attached = encode(said).decode() if said else ""
        if not shell.terminal.as_json:
            _show_changes(shell, plan.changes)
        if not shell.terminal.confirmed("Propose exactly this?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        token = _signed(
            shell,
            control,
            person,
            key,
            step="propose",
            before=plan.before,
            after=plan.after,
            attached=attached,
            comment=comment,
        )
        request = ProposalRequest(
            documents=sets.documents, removed=sets.removed, token=token, attached=attached or UNSET
        )
        made = policy_calls.propose_policy(control, request)
    if shell.terminal.as_json:
        shell.terminal.json(made)
    else:
        shell.terminal.say(
            f"proposed: another person publishes it with `answerable policy publish {made.id}`"
        )
    return PENDING


def proposals(shell: Shell) -> int | None:
    """Proposals that wait for a second person."""
    from answerable.client import policy_calls

    with shell.control() as control:
        items = list(policy_calls.list_proposals(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    rows = [(one.id, one.by, one.at, one.after[:12], one.comment) for one in items]
    shell.terminal.table(("id", "by", "at", "to", "comment"), rows, empty="nothing is proposed")
    return None


def show(shell: Shell, id: ProposalId) -> int | None:
    """One proposal: what it changes, line by line, and what its author attached."""
    from answerable.client import policy_calls

    with shell.control() as control:
        found = policy_calls.show_proposal(control, id)
    if shell.terminal.as_json:
        shell.terminal.json(found)
    else:
        _show(shell, found)
    return None


def publish(shell: Shell, id: ProposalId, person: Person, key: KeyFile, comment: Comment = "") -> int | None:
    """Sign what another person proposed, and put it into force."""
    from answerable.api.members import Token
    from answerable.client import policy_calls

    with shell.control() as control:
        found = policy_calls.show_proposal(control, id)
        _require_digests(found)
        if not shell.terminal.as_json:
            _show(shell, found)
        if not shell.terminal.confirmed("Publish exactly this?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        token = _signed(
            shell,
            control,
            person,
            key,
            step="publish",
            before=found.before,
            after=found.after,
            proposal=found.id,
            comment=comment,
        )
        applied = policy_calls.publish_policy(control, id, Token(token=token))
    _say_applied(shell, applied, "published: every decision from now on is made with it")
    return None


def withdraw(shell: Shell, id: ProposalId) -> int | None:
    """Withdraw a proposal. The ledger still records it."""
    from answerable.client import policy_calls

    with shell.control() as control:
        if not shell.terminal.confirmed(f"Withdraw {id}?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: the proposal is still open")
        found = policy_calls.withdraw_proposal(control, id)
    if shell.terminal.as_json:
        shell.terminal.json(found)
    else:
        shell.terminal.say("withdrawn")
    return None


def history(shell: Shell) -> int | None:
    """Policy sets that were in force and can come back, the last one first."""
    from answerable.client import policy_calls

    with shell.control() as control:
        items = list(policy_calls.list_policy_sets(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    rows = [(one.digest[:16], one.policy_set[:16], one.until, ", ".join(one.sets)) for one in items]
    heads = ("documents", "in decisions", "until", "policy sets")
    shell.terminal.table(heads, rows, empty="no other policy set was in force yet")
    return None


def rollback(
    shell: Shell,
    person: Person,
    key: KeyFile,
    to: Annotated[
        str,
        typer.Argument(
            help="Digest, or its beginning; default: the previous set in force.", metavar="DIGEST"
        ),
    ] = "",
    comment: Comment = "",
) -> int | None:
    """Put earlier policy sets into force again, with your signature alone."""
    from answerable.api.policy_answers import RollbackRequest
    from answerable.client import policy_calls

    with shell.control() as control:
        now, kept = (
            policy_calls.show_policies(control),
            policy_calls.show_policy_set(control, to or "previous"),
        )
        named = kept.digest.startswith(to) or kept.policy_set.startswith(to)
        if _digest_of(kept.documents) != kept.digest or not named:
            raise _unlike()
        if not shell.terminal.confirmed(f"Go back to {kept.digest[:16]}?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was signed")
        token = _signed(
            shell,
            control,
            person,
            key,
            step="rollback",
            before=now.documents,
            after=kept.digest,
            comment=comment,
        )
        applied = policy_calls.rollback_policy(control, RollbackRequest(to=kept.digest, token=token))
    _say_applied(shell, applied, f"back at {kept.digest[:16]}")
    return None


def _simulated(shell: Shell, control: Control, sets: PolicySets, since: str) -> dict[str, JSONValue]:
    """Run a simulation and return its counts, to attach to the proposal. Raises Refused (`cli.not_confirmed`) when
    interrupted."""
    from answerable.api.policy_trial_answers import SimulationRequest

    candidate = SimulationRequest(documents=sets.documents, removed=sets.removed)
    try:
        found = simulated(shell, control, candidate, since)
    except Unavailable as failed:
        if failed.code != SEARCH_OFF.id:
            raise
        raise SEARCH_OFF(f"{failed.message}; `--since none` proposes without a simulation") from None
    if found["partial"]:
        raise CLI_NOT_CONFIRMED("interrupted: nothing was signed")
    if not shell.terminal.as_json:
        shell.terminal.say(
            f"simulated: {found['changed']} of {found['asked']} decisions {period(since)} change"
        )
    names = ("since", "policy_set", "entries", "asked", "same", "changed", "changes", "untold", "unasked")
    asked = found["questions"]
    questions: JSONValue = {side: asked[side]["count"] for side in ("before", "after")}
    return {**{name: found[name] for name in names}, "questions": questions}


def _signed(
    shell: Shell,
    control: Control,
    person: str,
    key: Path,
    *,
    step: PublicationStep,
    before: str,
    after: str,
    proposal: str = "",
    attached: str = "",
    comment: str = "",
) -> str:
    from answerable.client import policy_calls
    from answerable.core.identity.names.principal import UnixMillis, principal_id
    from answerable.core.registry.policy_sets.publication import Terms
    from answerable.sdk.keyfile import load_key
    from answerable.sdk.signing import signed_step

    terms = Terms(
        step=step,
        before=before,
        after=after,
        proposal=proposal,
        attached=sha256(attached.encode()).hexdigest() if attached else "",
        comment=comment,
    )
    return signed_step(
        terms,
        by=principal_id(person),
        audience=policy_calls.show_policies(control).audience,
        at=UnixMillis(time.time_ns() // 1_000_000),
        key=load_key(key),
    )


def _digest_of(documents: Mapping[str, JSONValue]) -> str:
    from answerable.core.canonical import encode
    from answerable.core.registry.policy_sets.publication import documents_digest

    return documents_digest({key: encode(document) for key, document in documents.items()})


def _require_digests(found: ShownProposal) -> None:
    """Check that the digests to be signed are those of the displayed documents. Raises otherwise."""
    if found.superseded:
        raise PUBLICATION_SUPERSEDED()
    for documents, digest in ((found.documents, found.after), (found.present, found.before)):
        if _digest_of(documents) != digest:
            raise _unlike()


def _unlike() -> Unverified:
    return CLI_DIGEST("the server's digest does not match the documents that it sent: sign nothing")


def _show(shell: Shell, found: ShownProposal) -> None:
    from answerable.core.canonical import encode
    from answerable.wiring.registry_documents import changes

    shell.terminal.record(
        [
            ("proposal", found.id),
            ("by", found.by),
            ("at", found.at),
            ("comment", found.comment),
            ("from", found.before),
            ("to", found.after),
            ("attached", attached_lines(found.attached)),
        ]
    )
    if found.superseded:
        shell.terminal.warn("other policy sets came into force since then: it can no longer be published")
    old, new = (
        {key: encode(one) for key, one in documents.items()} for documents in (found.present, found.documents)
    )
    for change in changes(old, new):
        shell.terminal.heading(f"{change.kind} {change.key}")
        for line in change.lines:
            shell.terminal.line(f"    {line}")


def _show_changes(shell: Shell, found: Sequence[SetChange]) -> None:
    for change in found:
        shell.terminal.line(f"{change.how} {change.kind}/{change.name}")


def _say_applied(shell: Shell, applied: PolicyApplied, told: str) -> None:
    if shell.terminal.as_json:
        shell.terminal.json(applied)
        return
    _show_changes(shell, applied.changes)
    shell.terminal.say(told)
