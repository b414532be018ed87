"""Runs inside the environment of aics-tlog: what its library does and its command does not offer.

    in_aics.py audit LOG KEY [WITNESS_KEY]        every tile and bundle against the checkpoint, cosigned if asked for
    in_aics.py write LOG ORIGIN WITNESS OLD SIZE  a log whose entries are "entry 0", "entry 1" …
    in_aics.py feed URL KEY LOG CHECKPOINT …      each checkpoint in turn to a witness, with proofs from the log's tiles
    in_aics.py fork                               each of these or of its commands that a line on standard input is

Exit status 1 says refused, and the last line why. `write` prints the two verifier keys as JSON, `feed` the last
checkpoint with the cosignature. `fork` reads their library once for all of them: each runs in a process of its own, and
a line says how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import aics_tlog as theirs
from aics_tlog import cli
from aics_witness import cli as witness_cli
from aics_witness import feeder
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

COMMANDS = {"aics-tlog": cli.main, "aics-witness": witness_cli.main}
RUN_SECONDS_MAX = 60


def audit(log: str, key: str, *witnesses: str) -> None:
    note = theirs.parse_note((Path(log) / "checkpoint").read_bytes())
    keys = [theirs.parse_vkey(witness) for witness in witnesses]
    verified = theirs.verify_checkpoint(note, theirs.parse_vkey(key), keys, len(keys))
    if not verified.ok:
        sys.exit(verified.error)
    try:
        print(theirs.audit_tiles(theirs.FileSystemTileReader(log), verified.size, verified.root))
    except (theirs.TileVerificationError, theirs.TileMissingError) as refused:
        sys.exit(str(refused))


def write(log: str, origin: str, witness: str, old_size: str, size: str) -> None:
    """In two appends, so that its own growth is in the tiles; each head signed and cosigned."""
    key, cosigner = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    store = theirs.DirectoryTileStore(log, fsync=False)
    writer = theirs.IncrementalTileWriter(store)
    for name, start, stop in (("checkpoint.old", 0, int(old_size)), ("checkpoint", int(old_size), int(size))):
        writer.append([f"entry {number}".encode() for number in range(start, stop)])
        head = theirs.Checkpoint(origin, stop, writer.root())
        note = theirs.sign_checkpoint(head, key, origin)
        now = int(time.time())
        _, line = theirs.sign_cosignature(cosigner, witness, now, origin, stop, writer.root())
        signed = theirs.Note(note.text, (*note.signatures, line))
        (Path(log) / name).write_bytes(signed.to_bytes())
    keys = {
        "key": theirs.format_vkey(theirs.vkey_from_ed25519(origin, key.public_key())),
        "witness": theirs.format_vkey(theirs.cosignature_vkey(witness, cosigner.public_key())),
    }
    print(json.dumps(keys))


def feed(url: str, key: str, log: str, *checkpoints: str) -> None:
    tiles = theirs.FileSystemTileReader(log)
    stored = theirs.parse_checkpoint(theirs.parse_note((Path(log) / "checkpoint").read_bytes()).text)

    def proof(old_size: int, size: int) -> list[bytes]:
        return list(theirs.consistency_proof_from_tiles(tiles, old_size, size, stored.size))

    cosigned = b""
    with feeder.WitnessClient(url, key, max_attempts=1) as client:
        for path in checkpoints:
            note = Path(path).read_bytes()
            try:
                cosigned = feeder.merge_cosignatures(note, client.submit(note, proof))
            except feeder.FeederError as refused:
                sys.exit(f"{type(refused).__name__}: {refused}")
    sys.stdout.write(cosigned.decode())


def fork() -> None:
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = os.fork()
            if process == 0:
                signal.alarm(RUN_SECONDS_MAX)
                _run_alone(json.loads(line), out.fileno(), err.fileno())
            _, status = os.waitpid(process, 0)
            told: dict[str, object] = {"returncode": os.waitstatus_to_exitcode(status)}
            for name, file in (("stdout", out), ("stderr", err)):
                file.seek(0)
                told[name] = file.read().decode()
        print(json.dumps(told), flush=True)


def _run_alone(words: list[str], *streams: int) -> None:
    """As its interpreter runs it, and ends."""
    for number, one in enumerate((os.open(os.devnull, os.O_RDONLY), *streams)):
        os.dup2(one, number)
    code: object = 0
    try:
        sys.argv[:] = words
        if words[0] in COMMANDS:
            code = COMMANDS[words[0]]()
        else:
            main(words[1], words[2:])
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def main(command: str, arguments: Sequence[str]) -> None:
    if command == "audit":
        audit(*arguments)
    elif command == "write":
        write(*arguments)
    elif command == "feed":
        feed(*arguments)
    elif command == "fork":
        fork()
    else:
        sys.exit(f"no command {command}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
