"""The commands that need no server, as functions for the whole command line and for the light one.

Each prints its result and returns its exit code, None for 0. Law: if a check needs a package that is not installed, the
command says so and does not exit with 0.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Final

from answerable.apps.cli.exit_codes import CHECK_FAILED, ERROR, UNMET, code_of_status
from answerable.errors import shown
from answerable.errors.codes.ledger import EVIDENCE_INVALID
from answerable.errors.codes.policy import DECISION_NONE
from answerable.errors.codes.services import (
    CLI_DIRECTORY,
    CLI_FILE,
    CLI_PUBLIC_EXISTS,
    CLI_TIME,
)
from answerable.extras import is_here

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.apps.cli.terminal import Terminal
    from answerable.core.evidence.bundle import Bundle
    from answerable.core.identity.keys.keys import Algorithm, SigningKey
    from answerable.verify.evidence_report import EvidenceReport
    from answerable.verify.replayed import Replayed

ALGORITHMS: Final[dict[str, Algorithm]] = {"ed25519": "ed25519", "p256": "ecdsa-p256-sha256"}
"""Signature algorithms by the value of `--kind`."""


# --- ledger ----------------------------------------------------------------------------------------------


def verify_copy(
    terminal: Terminal,
    directory: Path,
    *,
    key: str | None,
    policy: Path | None,
    kept: Path | None,
    since: str | None,
) -> int | None:
    """Check every byte of a ledger. Raises Malformed (`cli.directory`, `cli.time`, `note.*`, `policy.*`)."""
    from answerable.core.tlog import note
    from answerable.core.tlog.policy import parse_policy
    from answerable.verify.ledger_history import verify_ledger
    from answerable.verify.ledger_set import is_ledger_set, verify_ledger_set

    if not directory.is_dir():
        raise CLI_DIRECTORY(f"there is no directory {shown(directory)}")
    try:
        with terminal.progress("checking") as told:
            verified = verify_ledger_set if is_ledger_set(directory) else verify_ledger
            report = verified(
                directory,
                key=note.VerifierKey.parse(key.strip()) if key else None,
                policy=parse_policy(policy.read_bytes()) if policy else None,
                kept=kept.read_bytes() if kept else None,
                witnessed_since=milliseconds(since) if since else 0,
                processes=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
                progress=lambda done: told(done.read_bytes, done.all_bytes),
            )
    except OSError as error:
        terminal.fault(f"cannot read {shown(error.filename)}: {(error.strerror or 'unknown').lower()}")
        return ERROR
    if terminal.as_json:
        terminal.json(report.as_value())
    else:
        for line in report.as_lines():
            terminal.line(line)
    return code_of_status(report.status)


def milliseconds(text: str) -> int:
    """Return an RFC 3339 time as Unix milliseconds. Raises Malformed (`cli.time`)."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise CLI_TIME(f"{shown(text)} is not an RFC 3339 time with a time zone")
    return int(when.timestamp() * 1000)


def tell_copied_actions(terminal: Terminal, directory: Path, about: dict[str, str]) -> int | None:
    """Print the actions under a manifest, from a copy. Raises Malformed (`ledger.no_copy`, `timeline.*`), Broken,
    Unavailable (`ledger.*`)."""
    from answerable.apps.cli.actions_under import copied_actions, show_actions

    return show_actions(terminal, copied_actions(terminal, directory, about))


# --- evidence --------------------------------------------------------------------------------------------


def verify_bundle(terminal: Terminal, bundle: Path, *, policy: Path | None, key: str | None) -> int | None:
    """Check an evidence bundle. Raises Malformed (`cli.file`, `note.*`, `policy.*`)."""
    from answerable.core.evidence.archive import ARCHIVE_BYTES_MAX
    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.policy import parse_policy
    from answerable.verify.check_answers import ShownAnswers
    from answerable.verify.check_tokens_shown import ShownTokens
    from answerable.verify.evidence_bundle import verify_evidence

    try:
        with bundle.open("rb") as file:
            content = file.read(ARCHIVE_BYTES_MAX + 1)
        trusted = parse_policy(policy.read_bytes()) if policy else None
    except OSError as error:
        raise CLI_FILE(
            f"cannot read {shown(error.filename)}: {(error.strerror or 'unknown').lower()}"
        ) from None
    own = VerifierKey.parse(key.strip()) if key else None
    report = verify_evidence(content, policy=trusted, key=own, tokens=ShownTokens(), answers=ShownAnswers())
    if terminal.as_json:
        terminal.json(report.as_value())
    else:
        for line in report.as_lines():
            terminal.line(line)
    return code_of_status(report.status)


def show_replayed(terminal: Terminal, evidence: bytes, erased: frozenset[int] = frozenset()) -> int | None:
    """Replay the decisions in a bundle and print the results. Raises Malformed (`evidence.invalid`),
    Refused (`decision.none`)."""
    found, report = _replayed(evidence, erased)
    if terminal.as_json:
        terminal.json({"decisions": [one.as_value() for one in found], "grade": grade(report)})
    else:
        for one in found:
            terminal.heading(f"entry {one.index}: {one.verdict}")
            terminal.line(f"  {one.text}")
            if one.unchecked:
                terminal.line(f"  not replayed, because it is not revealed: {', '.join(one.unchecked)}")
        tell_grade(terminal, report)
    verdicts = {one.verdict for one in found}
    if "differs" in verdicts:
        return CHECK_FAILED
    # With Cedar installed, `cannot_tell` is a property of the entry; without it, the check was not done.
    return UNMET if "cannot_tell" in verdicts and not is_here("cedarpy") else None


def checked(evidence: bytes) -> tuple[Bundle, EvidenceReport]:
    """Parse the bundle and verify it. Raises Malformed (`evidence.invalid`) if it does not verify."""
    from answerable.core.evidence.bundle import Bundle
    from answerable.verify.evidence_bundle import verify_evidence

    report = verify_evidence(evidence)
    if report.status == "invalid":
        first = next(one for one in report.findings if one.severity == "error")
        raise EVIDENCE_INVALID(f"the evidence bundle is invalid: {first.message}")
    return Bundle.parse(evidence), report


def grade(report: EvidenceReport) -> str:
    """Return the grade of the evidence: `witnessed` or `signed`."""
    return "witnessed" if report.is_witnessed else "signed"


def tell_grade(terminal: Terminal, report: EvidenceReport) -> None:
    """Warn if the entries are signed but not yet witnessed."""
    if not report.is_witnessed:
        terminal.warn(
            "not yet witnessed: the log has signed these entries, but no quorum of witnesses has cosigned them"
        )


def _replayed(evidence: bytes, erased: frozenset[int]) -> tuple[tuple[Replayed, ...], EvidenceReport]:
    from answerable.verify.bundle_replay import replay_bundle

    bundle, report = checked(evidence)
    found = replay_bundle(bundle, erased=erased)
    if not found:
        raise DECISION_NONE("no entry about this id is a decision")
    return found, report


def content_of_bundle(path: Path) -> bytes:
    """Read a bundle file. Raises Malformed (`cli.file`)."""
    from answerable.core.evidence.archive import ARCHIVE_BYTES_MAX

    try:
        with path.open("rb") as file:
            return file.read(ARCHIVE_BYTES_MAX + 1)
    except OSError as error:
        raise CLI_FILE(f"cannot read {shown(path)}: {(error.strerror or 'unknown').lower()}") from None


# --- keys ------------------------------------------------------------------------------------------------


def make_key(terminal: Terminal, file: Path, *, kind: str, public: Path | None) -> int | None:
    """Create a key file and print its public key. kind: of `ALGORITHMS`.

    Raises Malformed (`cli.public_exists`), and as `create_key`.
    """
    from answerable.core.identity.keys.keys import SEED_BYTES
    from answerable.sdk.keyfile import create_key

    if public is not None and public.exists():
        raise CLI_PUBLIC_EXISTS(f"{public.name} already exists and is not overwritten")
    algorithm = ALGORITHMS[kind]
    key = create_key(file, seed=os.urandom(SEED_BYTES[algorithm]), algorithm=algorithm)
    if public is not None:
        public.write_text(f"{key.public.jwk}\n")
    return _show_public(terminal, key)


def show_key(terminal: Terminal, file: Path) -> int | None:
    """Print the public key of a key file. Raises as `load_key`."""
    from answerable.sdk.keyfile import load_key

    return _show_public(terminal, load_key(file))


def _show_public(terminal: Terminal, key: SigningKey) -> int | None:
    if terminal.as_json:
        terminal.json({"jwk": json.loads(key.public.jwk), "thumbprint": key.public.thumbprint})
        return None
    terminal.line(key.public.jwk)
    terminal.say(f"thumbprint {key.public.thumbprint}")
    return None
