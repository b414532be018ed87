"""Logs in memory that sign what they are told to, true or not, and a witness that judges them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.adapters.witness_files import FilesWitnessRegister
from answerable.apps.witness.application import WitnessServices, witness_app
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.cosignature import cosignature, verified_cosignatures
from answerable.core.tlog.merkle import consistency_proof, leaf_hash, reader_over, root_of
from answerable.core.tlog.note import Note, VerifierKey, signed_note
from answerable.core.tlog.witnessing import AddCheckpoint
from answerable.errors import Refused, Unavailable, Unverified
from answerable.flows.ledger.cosign_checkpoint import Cosigner, CosigningState, cosign_checkpoint
from answerable.flows.ledger.gather_cosignatures import Cosigning, CosigningLimits
from answerable.ports.witness import Denied, WitnessAnswer
from answerable.testing.clock import ManualClock

ORIGIN = "log.example/one"
WITNESS = "witness.example/w1"


def ed25519(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


@dataclass
class Log:
    """A log of any leaves. forked_at: from this index on its leaves are others than those of the true log."""

    origin: str = ORIGIN
    seed: int = 1
    forked_at: int | None = None

    @property
    def key(self) -> VerifierKey:
        return VerifierKey.ed25519(self.origin, ed25519(self.seed).public_key().public_bytes_raw())

    def leaves(self, size: int) -> list[bytes]:
        forked = size if self.forked_at is None else self.forked_at
        return [leaf_hash(f"{'true' if i < forked else 'false'} {i}".encode()) for i in range(size)]

    def root(self, size: int) -> bytes:
        return root_of(self.leaves(size))

    def text(self, size: int, root: bytes | None = None) -> bytes:
        return Checkpoint(origin=self.origin, size=size, root=root or self.root(size)).text()

    def note(self, size: int, root: bytes | None = None) -> bytes:
        return signed_note(self.text(size, root), key=self.key, sign=ed25519(self.seed).sign).encoded()

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        if not 0 < old < size:
            return ()
        return consistency_proof(old_size=old, new_size=size, hash_at=reader_over(self.leaves(size)))

    def request(self, old: int, size: int, proof: Sequence[bytes] | None = None) -> bytes:
        hashes = self.proof(old, size) if proof is None else tuple(proof)
        return AddCheckpoint(old_size=old, proof=hashes, checkpoint=self.note(size)).encoded()


def raw_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """A body without the checks of the class that makes honest ones."""
    lines = [f"old {old}", *(b64encode(one).decode() for one in proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


def cosigners(*, lattice: bool = False, seed: int = 9, name: str = WITNESS) -> tuple[Cosigner, ...]:
    """Keys of a witness."""
    key = ed25519(seed)
    found = [
        Cosigner(
            key=VerifierKey.ed25519_cosignature(name, key.public_key().public_bytes_raw()), sign=key.sign
        )
    ]
    if lattice:
        other = MLDSA44PrivateKey.from_seed_bytes(bytes([seed]) * 32)
        public = other.public_key().public_bytes_raw()
        found.append(
            Cosigner(key=VerifierKey.ml_dsa_44(name, public), sign=lambda signed: other.sign(signed))
        )
    return tuple(found)


@contextmanager
def desk(
    directory: Path, *logs: Log, lattice: bool = False, clock: ManualClock | None = None
) -> Iterator[CosigningState]:
    """A witness on real files that watches these logs."""
    register = FilesWitnessRegister.open(directory)
    try:
        for log in logs:
            register.add(log.key)
        yield CosigningState(
            register=register, clock=clock or ManualClock(), cosigners=cosigners(lattice=lattice)
        )
    finally:
        register.close()


def door(of: CosigningState) -> Any:
    """Its ASGI application."""

    def newest(origin_hash: str) -> bytes | None:
        log = of.register.log_of_hash(origin_hash)
        return log.newest if log is not None else None

    return witness_app(WitnessServices(cosign=lambda body: cosign_checkpoint(of, body), newest=newest))


class Door:
    """The witness's HTTP interface over one desk."""

    def __init__(self, at: CosigningState, http: httpx2.AsyncClient) -> None:
        self.desk = at
        self.http = http

    async def add(self, body: bytes) -> httpx2.Response:
        return await self.http.post("/add-checkpoint", content=body)

    def newest(self, origin: str = ORIGIN) -> int:
        log = self.desk.register.log(origin)
        assert log is not None
        return size_in(log.newest)

    def evidence(self) -> list[str]:
        return [one.kind for one in self.desk.register.evidence(ORIGIN)]


@asynccontextmanager
async def at_door(directory: Path, *logs: Log, clock: ManualClock | None = None) -> AsyncIterator[Door]:
    """A witness on real files, asked over HTTP in this process."""
    with desk(directory, *logs, clock=clock) as at:
        transport = httpx2.ASGITransport(app=door(at))
        async with httpx2.AsyncClient(transport=transport, base_url="http://witness") as http:
            yield Door(at, http)


def size_in(note: bytes | None) -> int:
    """Size of a checkpoint; 0 for none."""
    return Checkpoint.parse(Note.parse(note).text).size if note is not None else 0


@dataclass
class Ledger:
    """What the rounds see of a ledger: its newest checkpoint can be set to anything."""

    log: Log
    size: int = 0
    published: list[bytes] = field(default_factory=list)

    @property
    def checkpoint(self) -> str:
        return self.log.note(self.size).decode() if self.size else ""

    def consistency_proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        return self.log.proof(old_size, new_size)

    def publish_cosigned(self, note: bytes) -> bool:
        self.published.append(note)
        return True


class HonestWitness:
    """A witness at a desk, asked without HTTP. Implements ports.Witness.

    Each test overrides what its liar does. down: it is not reached.
    """

    def __init__(self, at: CosigningState, name: str = "w1") -> None:
        self.at = at
        self.name = name
        self.down = False
        self.requests: list[AddCheckpoint] = []

    def keys(self) -> tuple[VerifierKey, ...]:
        return tuple(one.key for one in self.at.cosigners)

    async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
        self._require_up()
        self.requests.append(request)
        try:
            return cosign_checkpoint(self.at, request.encoded())
        except Unverified as error:
            return Denied(why="inconsistent" if error.step.startswith("consistency.") else "unsigned")
        except Refused:
            return Denied(why="unknown log")

    async def newest(self, origin: str) -> bytes | None:
        self._require_up()
        log = self.at.register.log(origin)
        return log.newest if log is not None else None

    def _require_up(self) -> None:
        if self.down:
            raise Unavailable("it was not reached", code="witness.unreachable", port="witness")


@dataclass
class Rounds:
    """One ledger, one witness, and rounds over whatever is put into `witnesses`."""

    clock: ManualClock
    ledger: Ledger
    witness: HonestWitness

    def rounds(self, *witnesses: Any, **limits: Any) -> Cosigning:
        return Cosigning(
            ledger=self.ledger,
            log_keys=[Log().key],
            witnesses=witnesses or (self.witness,),
            clock=self.clock,
            limits=CosigningLimits(**limits),
        )


def cosigned_size(note: bytes) -> int:
    parsed = Note.parse(note)
    parsed.verify([Log().key])
    assert verified_cosignatures(parsed, cosigners=[one.key for one in cosigners()])
    return size_in(note)


class Liar(HonestWitness):
    """Says what it was given to say. answer: made from the request; copy: what it shows."""

    def __init__(self, honest: HonestWitness, answer: Callable[[AddCheckpoint], WitnessAnswer]) -> None:
        super().__init__(honest.at)
        self.answer = answer
        self.copy: bytes | None = None

    async def add_checkpoint(self, request: AddCheckpoint) -> WitnessAnswer:
        self.requests.append(request)
        return self.answer(request)

    async def newest(self, origin: str) -> bytes | None:
        return self.copy


def lines(text: bytes, *, seed: int = 9, seconds: int, key: Any = None) -> bytes:
    """Cosignature lines made by hand."""
    key = key or cosigners(seed=seed)[0].key
    line = cosignature(text, key=key, timestamp=seconds, sign=ed25519(seed).sign)
    return Note(text=text, signatures=(line,)).encoded()[len(text) + 1 :]
