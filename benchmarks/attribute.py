"""How fast the lines of a target's log are read and attributed: lines a second of CPU on one core, for each form.

Run with `./dev bench attribute [--lines COUNT]`. Log and record are in memory: 20,000 steps with an account and
a session each; two of three lines are of one of them, the third is a person's.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from answerable.adapters.log_readers import (
    LinePrefix,
    LogTimes,
    MariadbLog,
    PostgresLog,
    RabbitmqLog,
    SshdLog,
    bounded_lines,
    offset_of,
)
from answerable.core.attribution.step_index import StepIndex
from answerable.core.lease.name import account_of, lease_name
from answerable.core.ledger.tags import Tag
from answerable.flows.forensics.attribute_log import Attribution, attribute_file

LINES = 100_000
STEPS = 20_000
LINES_MIN = 50_000
AT = 1_796_150_148_000
CLOCK = "2026-12-01 18:35:48"
PREFIX = "%m|%c|%u|%a| "
SQL = "SELECT id, body FROM support_messages WHERE case_id = 'case-1' ORDER BY id"
KEYS = ("pg_session", "mariadb_connection", "ssh_serial", "rabbitmq_connection")


def account(number: int) -> str:
    return account_of(lease_name(number.to_bytes(16, "big")))


def leaves() -> Iterator[tuple[int, dict[str, Any]]]:
    """Intent and outcome of each step, whose session every kind of log names by its number."""
    for number in range(STEPS):
        action = number.to_bytes(16, "big")
        names = {"at": AT, "action": action.hex(), "lease": lease_name(action), "lease_target": "target"}
        yield 2 * number, {"tag": int(Tag.INTENT), "deadline": AT + 30_000, **names}
        places = (f"{number:08x}.1f", str(number), str(number), f"127.0.0.1:{number} -> 127.0.0.1:5672")
        session = {**dict(zip(KEYS, places, strict=True)), "ssh_ca": "SHA256:ca"}
        ended = {"at": AT + 1_000, "intent": 2 * number, "status": "succeeded", "session": session}
        yield 2 * number + 1, {"tag": int(Tag.OUTCOME), **ended}


def in_text(number: int, who: str) -> str:
    return f"{CLOCK}.123 UTC|{number:08x}.1f|{who}|psql| LOG:  statement: {SQL}\n"


def in_csv(number: int, who: str) -> str:
    return (
        f'{CLOCK}.123 UTC,"{who}","prod",12,"[local]",{number:08x}.1f,3,"SELECT",{CLOCK} UTC,3/4,0,LOG,00000,'
        f'"statement: {SQL}",,,,,,,,,"psql","client backend",,0\n'
    )


def in_json(number: int, who: str) -> str:
    said = {"timestamp": f"{CLOCK}.123 UTC", "user": who, "dbname": "prod", "session_id": f"{number:08x}.1f"}
    return json.dumps({**said, "message": f"statement: {SQL}", "application_name": "psql"}) + "\n"


def in_audit(number: int, who: str) -> str:
    said = SQL.replace("'", r"\'")
    return f"20261201 18:35:48,db1,{who},127.0.0.1,{number},9,QUERY,shop,'{said}',0\n"


def of_sshd(number: int, who: str) -> str:
    key = f"ED25519-CERT SHA256:abc ID {who} (serial {number}) CA ED25519 SHA256:ca"
    said = f"Accepted publickey for deploy from 127.0.0.1 port 1 ssh2: {key}"
    return f"2026-12-01T18:35:48.123456+00:00 web1 sshd[{number}]: {said}\n"


def of_rabbitmq(number: int, who: str) -> str:
    granted = f"user '{who}' authenticated and granted access to vhost '/'"
    said = f"connection 127.0.0.1:{number} -> 127.0.0.1:5672 - app: {granted}"
    return f"{CLOCK}.{number:06}+00:00 [info] <0.{number}.0> {said}\n"


def forms() -> dict[str, tuple[Any, Callable[[int, str], str]]]:
    times = LogTimes(zone=offset_of("+00:00"), now=AT)
    return {
        "postgres stderr": (PostgresLog(times, LinePrefix(PREFIX)), in_text),
        "postgres csvlog": (PostgresLog(times, None), in_csv),
        "postgres jsonlog": (PostgresLog(times, None), in_json),
        "mariadb": (MariadbLog(times), in_audit),
        "sshd": (SshdLog(times), of_sshd),
        "rabbitmq": (RabbitmqLog(times), of_rabbitmq),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    steps = StepIndex(leaves())
    found = {}
    for name, (reader, made) in forms().items():
        whose = ((number % STEPS, number % 3) for number in range(given.lines))
        log = "".join(made(step, account(step) if kind else "alice") for step, kind in whose).encode()
        counted = Attribution()
        begun = time.process_time()
        attribute_file(counted, name, reader.read(bounded_lines(io.BytesIO(log))), steps, frozenset())
        found[name] = given.lines / (time.process_time() - begun)
        if set(counted.counts) != {("ours", "B")}:
            raise SystemExit(f"{name}: {counted.counts}")
    if given.json:
        print(json.dumps({"lines_a_second": found}))
        return
    for name, rate in found.items():
        print(f"{name}: {rate:,.0f} lines a second of CPU (at least {LINES_MIN:,})")


if __name__ == "__main__":
    main()
