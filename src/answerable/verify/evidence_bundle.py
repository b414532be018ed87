"""Verify an evidence bundle offline, trusting nothing but the policy that the caller gives.

Laws:
- an entry counts only with an inclusion proof to a checkpoint that the log signed and witnesses cosigned;
- entries of a bundle that refer to each other must agree, as they must in the whole log;
- an executed prepared object is the one that was prepared and shown to people, where that is disclosed;
- a disclosed token is the one its entry is about, and stays within the consent to it, where that is disclosed;
- a bundle proves what happened, never that nothing else did: the report lists what it leaves out, as far as that can
  be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET

from answerable.core.evidence.bundle import Bundle
from answerable.core.tlog.checkpoint import Checkpoint, verified_checkpoint
from answerable.core.tlog.merkle import leaf_hash, verify_inclusion
from answerable.core.tlog.policy import verified_checkpoint_under
from answerable.errors import Malformed, Unverified, shown
from answerable.extras import INSTALL_REPLAY
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.canary_shapes import CanaryToldLeaf
from answerable.verify.check_attention_checks import ToldCanaries
from answerable.verify.check_challenges import ToldOpenings
from answerable.verify.check_prepared import ShownPrepared
from answerable.verify.citations import Citations
from answerable.verify.evidence_report import NOT_WITNESSED, EvidenceReport, ShownEntry
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.verify.leaf_shapes import CitedLeaf, EndLeaf, GenesisLeaf
from answerable.verify.leaf_types import Leaf
from answerable.verify.lease_entries import LeaseEntries
from answerable.verify.ledger_history import CLOCK_SKEW_MS_MAX
from answerable.verify.links import Pairing, step_fault
from answerable.verify.report import Caveat, Finding, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.evidence.bundle import EvidenceEntry
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.policy import Policy

_SECOND_MS = 1000


class TokenCheck(Protocol):
    """Compares disclosed tokens with their entries and with each other. unread: tokens that could not be compared."""

    unread: int

    def take(self, index: int, leaf: CitedLeaf, disclosures: Sequence[Disclosure]) -> None:
        """Take the next cited entry, with its disclosed fields."""

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""


class AnswerCheck(Protocol):
    """Compares disclosed answers of people with what the people were shown.

    unread: answers that could not be compared. unchecked: signatures that cannot be checked without an extra.
    keys_unread: signatures whose key file cannot be attributed. signed: valid signatures. attributed: answers that
    nobody signed, with their entry and the party whose claim each is.
    """

    unread: int
    unchecked: int
    signed: int

    @property
    def attributed(self) -> list[tuple[int, str]]:
        """Answers that nobody signed: the entry, and the party whose claim it is."""

    @property
    def keys_unread(self) -> int:
        """Signatures whose key file cannot be attributed. Valid after `faults`."""
        ...

    def take(self, index: int, leaf: Leaf, disclosures: Sequence[Disclosure]) -> None:
        """Take the next entry, with its disclosed fields."""

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""


def verify_evidence(
    content: bytes,
    *,
    policy: Policy | None = None,
    key: VerifierKey | None = None,
    clock_skew_ms_max: int = CLOCK_SKEW_MS_MAX,
    tokens: TokenCheck | None = None,
    answers: AnswerCheck | None = None,
) -> EvidenceReport:
    """Check a whole bundle. Never raises for the bundle's content.

    policy: whose cosignatures count; without it, the bundle's own policy applies and the report says so. key: the log's
    key, known from another source, if no policy names it. tokens: compares disclosed tokens, as `ShownTokens` does,
    which needs more packages than the rest; without it, the report says that they were not compared. answers: likewise
    for people's answers, as `ShownAnswers` does.
    """
    try:
        bundle = Bundle.parse(content)
        claimed = bundle.claimed
    except Malformed as error:
        return _refused(Finding(rule=error.code, severity="error", message=error.message), policy is not None)
    check = _Check(bundle, claimed, clock_skew_ms_max, tokens, answers)
    check.signatures(policy, key)
    for entry in bundle.entries:
        check.entry(entry)
    return check.report(policy_given=policy is not None)


class _Check:
    def __init__(
        self,
        bundle: Bundle,
        claimed: Checkpoint,
        skew_ms: int,
        tokens: TokenCheck | None,
        answers: AnswerCheck | None,
    ) -> None:
        self._bundle, self._claimed, self._skew_ms = bundle, claimed, skew_ms
        self._findings: list[Finding] = []
        self._caveats: list[Caveat] = []
        self._cosigners: tuple[str, ...] = ()
        self._witnessed_at = 0
        self._shown: list[ShownEntry] = []
        self._here = frozenset(one.index for one in bundle.entries)
        self._pairing, self._citations = Pairing(), Citations(here=self._here)
        self._leases = LeaseEntries(here=self._here)
        self._runs: dict[str, tuple[int, bytes, str]] = {}
        self._left_out: dict[str, int] = {}
        self._tokens, self._answers = tokens, answers
        self._canaries, self._openings = ToldCanaries(), ToldOpenings()
        self._prepared = ShownPrepared()
        self._tokens_passed_over = self._answers_passed_over = False

    def signatures(self, given: Policy | None, key: VerifierKey | None) -> None:
        """Check the log's signature on the checkpoint, and the cosignatures."""
        bundle = self._bundle
        policy = given or bundle.policy
        if given is None:
            text = "the policy came with the bundle" if bundle.policy else "there is no policy"
            self._caveat(
                "policy_not_given",
                (f"{text}: obtain the policy (which cosignatures count) from another source"),
            )
        keys = (key,) if key is not None else bundle.keys
        if key is None and not (policy and policy.logs):
            self._caveat(
                "key_not_given", ("the log's key came with the bundle: confirm it from another source")
            )
        lacking = ""
        try:
            if policy is None or (key is not None and policy.logs):
                verified_checkpoint(bundle.checkpoint, origin=self._claimed.origin, log_keys=keys)
            if policy is not None:
                lacking = self._cosigned(policy, keys)
        except (Malformed, Unverified) as error:
            self._wrong("checkpoint.signature", f"checkpoint: {error.message}", None)
        if not self._cosigners:
            message = f"{lacking or 'nobody has cosigned'}: another history of the log may exist"
            unmet = bool(lacking) and given is not None
            self._caveats.append(Caveat(code=NOT_WITNESSED, message=message, unmet=unmet))

    def _cosigned(self, policy: Policy, keys: tuple[VerifierKey, ...]) -> str:
        """Record the cosigners and return what the quorum lacks; a checkpoint may lack cosignatures, since witnesses
        cosign only after the log has signed. Raises Malformed, Unverified for an invalid signature."""
        try:
            _, cosignatures = verified_checkpoint_under(
                self._bundle.checkpoint, policy, origin=self._claimed.origin, log_keys=keys
            )
        except Unverified as short:
            if short.step != "checkpoint.quorum":
                raise
            return f"not seen by witnesses yet: {short.message}"
        self._cosigners = tuple(sorted(one.cosigner.name for one in cosignatures))
        timed = sorted((one for one in cosignatures if one.timestamp), key=lambda one: one.timestamp)
        for count, last in enumerate(timed, 1):
            if policy.is_met_by([one.cosigner for one in timed[:count]]):
                self._witnessed_at = last.timestamp * _SECOND_MS
                break
        return ""

    def entry(self, entry: EvidenceEntry) -> None:
        """Check the next entry."""
        hashed = leaf_hash(entry.leaf)
        try:
            verify_inclusion(
                leaf=hashed,
                index=entry.index,
                size=self._claimed.size,
                proof=entry.hashes,
                root=self._claimed.root,
            )
        except Unverified as error:
            self._wrong("evidence.proof", error.message, entry.index)
        leaf = read_leaf(entry.leaf)
        if isinstance(leaf, Fault):
            self._wrong(leaf.rule, leaf.message, entry.index)
            return
        for fault in self._faults(entry.index, leaf, hashed):
            self._wrong(fault.rule, fault.message, entry.index)
        self._canaries.take(entry.index, leaf)
        for index, fault in self._openings.take(entry.index, leaf):
            self._wrong(fault.rule, fault.message, index)
        self._prepared.take(entry.index, leaf, entry.disclosures, hashed)
        if self._answers is not None:
            self._answers.take(entry.index, leaf, entry.disclosures)
        elif isinstance(leaf, AnswerLeaf | CanaryToldLeaf) and any(
            one.name == "token" for one in entry.disclosures
        ):
            self._answers_passed_over = True
        if isinstance(leaf, CitedLeaf):
            if self._tokens is not None:
                self._tokens.take(entry.index, leaf, entry.disclosures)
            elif leaf.hop is not UNSET and any(one.name == "token" for one in entry.disclosures):
                self._tokens_passed_over = True
        count = 0 if leaf.sd is UNSET else len(leaf.sd)
        self._shown.append(
            ShownEntry(
                index=entry.index,
                tag=leaf.tag,
                at=leaf.at,
                leaf=entry.leaf.decode(),
                leaf_hash=hashed.hex(),
                shown=tuple((one.name, bytes(one.value).decode()) for one in entry.disclosures),
                hidden=count - len(entry.disclosures),
            )
        )

    def report(self, *, policy_given: bool) -> EvidenceReport:
        """Finish the checks and return the report."""
        for index, fault in self._canaries.faults():
            self._wrong(fault.rule, fault.message, index)
        if self._tokens is not None:
            for index, fault in self._tokens.faults():
                self._wrong(fault.rule, fault.message, index)
            self._left_out["tokens without which a consent cannot be compared"] = self._tokens.unread
        elif self._tokens_passed_over:
            self._caveat(
                "tokens_not_compared",
                ("tokens of hops are in the bundle but were not compared with each other"),
            )
        if self._answers is not None:
            for index, fault in self._answers.faults():
                self._wrong(fault.rule, fault.message, index)
            self._left_out["parts without which an answer or what ran by it cannot be compared"] = (
                self._answers.unread
            )
            if self._answers.unchecked:
                message = (
                    f"{self._answers.unchecked} signatures by passkeys were not checked: {INSTALL_REPLAY}"
                )
                self._caveats.append(Caveat(code="passkeys_not_checked", message=message, unmet=True))
            self._findings += [
                Finding(rule="approval.attributed", severity="note", message=text, index=index)
                for index, text in self._answers.attributed
            ]
        elif self._answers_passed_over:
            self._caveat(
                "answers_not_compared",
                ("answers of people are in the bundle but their signatures were not checked"),
            )
        for index, fault in self._prepared.faults():
            self._wrong(fault.rule, fault.message, index)
        self._left_out["parts without which what was prepared cannot be compared"] = self._prepared.unread
        left_out = {
            "entries that others refer to": self._citations.absent,
            "intents of leases": self._leases.absent,
            **self._left_out,
        }
        told = [f"{count} {what} are not in this bundle" for what, count in sorted(left_out.items()) if count]
        unknown = self._answers.keys_unread if self._answers is not None else 0
        if unknown:
            told.append(
                f"whose key made {unknown} of the signatures cannot be said: what names it is not in this bundle, or "
                "hidden"
            )
        self._findings += [
            Finding(rule="evidence.left_out", severity="note", message=message) for message in told
        ]
        claimed = self._claimed
        return EvidenceReport(
            origin=claimed.origin,
            size=claimed.size,
            root=claimed.root.hex(),
            witnessed_at=self._witnessed_at,
            cosigners=self._cosigners,
            policy_given=policy_given,
            findings=tuple(self._findings),
            caveats=tuple(self._caveats),
            entries=tuple(self._shown),
            signed=self._answers.signed if self._answers is not None else 0,
            attributed=len(self._answers.attributed) if self._answers is not None else 0,
        )

    def _faults(self, index: int, leaf: Leaf, hashed: bytes) -> Iterator[Fault]:
        if self._witnessed_at and leaf.at > self._witnessed_at + self._skew_ms:
            by = instant(self._witnessed_at)
            yield Fault("time.ahead", f"it says {instant(leaf.at)}, and was cosigned by {by}")
        if isinstance(leaf, GenesisLeaf) and leaf.origin != self._claimed.origin:
            yield Fault("genesis.key", f"the genesis entry names another log: {shown(leaf.origin)}")
        found = [
            self._run_fault(leaf, hashed),
            self._citations.fault(index, leaf, hashed),
            self._leases.fault(index, leaf),
        ]
        if not isinstance(leaf, EndLeaf) or leaf.intent in self._here:
            found.append(self._pairing.fault(index, leaf, hashed))
        else:
            self._left_out["intents of ends"] = self._left_out.get("intents of ends", 0) + 1
        yield from (fault for fault in found if fault is not None)

    def _run_fault(self, leaf: Leaf, hashed: bytes) -> Fault | None:
        """Check that neighbours in a run are chained. A gap is only counted, since a bundle may leave entries out."""
        run = leaf.run
        if run is UNSET:
            return None
        before = self._runs.get(run.id)
        self._runs[run.id] = (run.seq, hashed, "")
        last = -1 if before is None else before[0]
        if run.seq <= last:
            return Fault("run.gap", f"it is number {run.seq} of its run, after number {last}")
        if run.seq > last + 1:
            self._left_out["entries of runs"] = self._left_out.get("entries of runs", 0) + run.seq - last - 1
            return None
        return step_fault(run.seq, run.prev, before)

    def _caveat(self, code: str, message: str) -> None:
        self._caveats.append(Caveat(code=code, message=message))

    def _wrong(self, rule: str, message: str, index: int | None) -> None:
        self._findings.append(Finding(rule=rule, severity="error", message=message, index=index))


def _refused(finding: Finding, policy_given: bool) -> EvidenceReport:
    return EvidenceReport(
        origin="",
        size=0,
        root="",
        witnessed_at=0,
        cosigners=(),
        policy_given=policy_given,
        findings=(finding,),
        caveats=(),
        entries=(),
    )
