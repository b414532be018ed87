"""Others as judges of a log directory or a proof file, each behind the same question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from answerable.core.tlog.note import VerifierKey
from answerable.core.tlog.proof import HEADER
from tests.interop.programs import ACCEPTED, REFUSED, go_program, run, run_aics, spicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a stranger is handed: a log directory, an entry said to be at `index`, an earlier checkpoint.

    key and witness are what the stranger knows already; without a witness no cosignature is asked for.
    """

    directory: Path
    key: VerifierKey
    witness: VerifierKey | None
    index: int
    entry: bytes
    old: bytes

    def beside(self, name: str, content: bytes) -> Path:
        """The content as a file, outside the directory."""
        path = self.directory.parent / f"{self.directory.name}.{name}"
        path.write_bytes(content)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProof:
    """A proof file, the entry it is for, and the keys a stranger knows."""

    folder: Path
    key: VerifierKey
    witness: VerifierKey | None
    entry: bytes
    proof: bytes

    def files(self) -> tuple[Path, Path]:
        """Entry and proof file."""
        (self.folder / "entry").write_bytes(self.entry)
        (self.folder / "entry.tlog-proof").write_bytes(self.proof)
        return self.folder / "entry", self.folder / "entry.tlog-proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether it was accepted, and what was said. What could not be judged at all raises instead."""

    accepted: bool
    said: str


class Judge(Protocol):
    """Somebody else's verifier of log directories. knows_cosignatures: whether it demands the witness's."""

    @property
    def name(self) -> str: ...

    @property
    def knows_cosignatures(self) -> bool: ...

    def verdict(self, shown: Shown) -> Verdict:
        """On checkpoint, inclusion of the entry, and growth since the old checkpoint."""
        ...

    def audit(self, shown: Shown) -> Verdict:
        """On the stored entries and tiles of the whole log."""
        ...


class ProofJudge(Protocol):
    """Somebody else's verifier of proof files."""

    @property
    def name(self) -> str: ...

    def verdict_on_proof(self, shown: ShownProof) -> Verdict:
        """On the entry under the checkpoint in the file."""
        ...


@dataclass(frozen=True, slots=True)
class Go:
    """One of the two implementations in tests/interop/go."""

    name: str
    knows_cosignatures: bool

    def verdict(self, shown: Shown) -> Verdict:
        entry, old = shown.beside("entry", shown.entry), shown.beside("old", shown.old)
        arguments = ["-log", str(shown.directory), "-index", str(shown.index), "-entry", str(entry)]
        return self._said("verify", shown, *arguments, "-old", str(old))

    def audit(self, shown: Shown) -> Verdict:
        return self._said("audit", shown, "-log", str(shown.directory))

    def verdict_on_proof(self, shown: ShownProof) -> Verdict:
        entry, proof = shown.files()
        return self._said("proof", shown, "-entry", str(entry), "-proof", str(proof))

    def _said(self, command: str, shown: Shown | ShownProof, *arguments: str) -> Verdict:
        known = ["-by", self.name, "-key", shown.key.formatted()]
        if self.knows_cosignatures and shown.witness is not None:
            known += ["-cosigner", shown.witness.formatted()]
        done = run(go_program(), command, *known, *arguments)
        assert done.returncode in (ACCEPTED, REFUSED), done.stderr
        return Verdict(accepted=done.returncode == ACCEPTED, said=done.stdout + done.stderr)


class AicsTlog:
    """aics-tlog, the command."""

    name = "aics-tlog"
    knows_cosignatures = True

    def verdict(self, shown: Shown) -> Verdict:
        entry, old = shown.beside("entry", shown.entry), shown.beside("old", shown.old)
        included = self._said("verify-inclusion", shown, "--index", str(shown.index), "--leaf", str(entry))
        if not included.accepted:
            return included
        return self._said("verify-consistency", shown, "--old-checkpoint", str(old))

    def audit(self, shown: Shown) -> Verdict:
        """Its own library function, which the command does not offer."""
        known = [key.formatted() for key in (shown.key, shown.witness) if key is not None]
        done = run_aics("", "audit", shown.directory, *known)
        assert done.returncode in (ACCEPTED, REFUSED), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return Verdict(accepted=done.returncode == ACCEPTED, said=done.stdout + done.stderr)

    def _said(self, command: str, shown: Shown, *arguments: str) -> Verdict:
        key = shown.beside("vkey", shown.key.formatted().encode() + b"\n")
        known: list[str | Path] = ["--vkey-file", key]
        if shown.witness is not None:
            known += ["--witness-key", shown.witness.formatted(), "--quorum", "1"]
        done = run_aics("aics-tlog", command, "--tiles", shown.directory, *known, *arguments)
        assert done.returncode in (ACCEPTED, REFUSED), done.stderr
        assert json.loads(done.stdout)["ok"] == (done.returncode == ACCEPTED), done.stdout
        return Verdict(accepted=done.returncode == ACCEPTED, said=done.stdout)


class Spicy:
    """spicy-litetlog of the litetlog project. Its file is a C2SP tlog-proof without the first line."""

    name = "spicy-litetlog"

    def verdict_on_proof(self, shown: ShownProof) -> Verdict:
        entry, proof = shown.files()
        content = proof.read_bytes().removeprefix(HEADER.encode() + b"\n")
        (shown.folder / "entry.spicy").write_bytes(content)
        done = run(spicy(), "-verify", shown.key.formatted(), entry)
        assert done.returncode in (ACCEPTED, REFUSED), done.stderr
        return Verdict(accepted=done.returncode == ACCEPTED, said=done.stderr)


XMOD = Go("xmod", knows_cosignatures=False)
TRANSPARENCY_DEV = Go("transparency-dev", knows_cosignatures=True)
JUDGES: tuple[Judge, ...] = (XMOD, TRANSPARENCY_DEV, AicsTlog())
COSIGNATURE_JUDGES = tuple(judge for judge in JUDGES if judge.knows_cosignatures)
PROOF_JUDGES: tuple[ProofJudge, ...] = (XMOD, TRANSPARENCY_DEV, Spicy())
