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
    CloudtrailLog,
    LinePrefix,
    LogTimes,
    MariadbLog,
    NatsLog,
    NginxLog,
    OcsfLog,
    PostgresLog,
    RabbitmqLog,
    RedisLog,
    SshdLog,
    bounded_lines,
    json_objects,
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
OBJECTS = ("cloudtrail", "ocsf")
NATS = "N" + 55 * "A"


def session_of(number: int) -> dict[str, str]:
    """How each kind of target names the session of a step."""
    return {
        "pg_session": f"{number:08x}.1f",
        "mariadb_connection": str(number),
        "ssh_serial": str(number),
        "ssh_ca": "SHA256:ca",
        "rabbitmq_connection": f"127.0.0.1:{number} -> 127.0.0.1:5672",
        "redis_client": f"id={number} addr=127.0.0.1:{number}",
        "nats_client": f"server={NATS} cid={number}",
        "http_x_request_id": f"{number:032x}",
        "aws_access_key": f"ASIA{number:016}",
        "aws_request_id": f"c99bf9da-e0bd-4bf7-{number:012}",
    }


def account(number: int) -> str:
    return account_of(lease_name(number.to_bytes(16, "big")))


def leaves() -> Iterator[tuple[int, dict[str, Any]]]:
    """Intent and outcome of each step, whose session every kind of log names by its number."""
    for number in range(STEPS):
        action = number.to_bytes(16, "big")
        names = {"at": AT, "action": action.hex(), "lease": lease_name(action), "lease_target": "target"}
        yield 2 * number, {"tag": int(Tag.INTENT), "deadline": AT + 30_000, **names}
        ended = {"at": AT + 1_000, "intent": 2 * number, "status": "succeeded", "session": session_of(number)}
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


def of_redis(number: int, who: str) -> str:
    said = f"id={number} addr=127.0.0.1:{number} laddr=127.0.0.1:6379 fd=13 name= age=0 idle=0 flags=A db=0 sub=0"
    said += " psub=0 ssub=0 multi=-1 watch=0 qbuf=0 qbuf-free=20474 argv-mem=0 multi-mem=0 rbs=16384 rbp=16384 obl=0"
    said += f" oll=0 omem=0 tot-mem=37760 events=r cmd=set user={who} redir=-1 resp=3 lib-name= lib-ver= io-thread=0"
    return f"1832:M 01 Dec 2026 18:35:48.123 - Client closed connection {said}\n"


def of_nats(number: int, who: str) -> str:
    if not number:
        return f"[7] 2026/12/01 18:35:48.123456 [INF]   ID:       {NATS}\n"
    whose = (
        f'Client "U{NATS[1:]}" (claim-name: "{who}", claim-tags: []) signed with "A{NATS[1:]}" by Account '
    )
    whose += (
        f'"A{NATS[1:]}" (claim-name: "cases", claim-tags: []) signed with "O{NATS[1:]}" has mappings false'
    )
    said = f"127.0.0.1:3361 - cid:{number} - Authenticated JWT: {whose}"
    return f"[7] 2026/12/01 18:35:48.123456 [DBG] {said}\n"


def in_events(number: int, who: str) -> str:
    client = {"start": "2026-12-01T18:35:48.1Z", "host": "127.0.0.1", "id": number, "acc": NATS, "user": NATS}
    return json.dumps({
        "type": "io.nats.server.advisory.v1.client_connect",
        "id": "dz0553dC3OseMUv20KmK56",
        "timestamp": "2026-12-01T18:35:48.123456789Z",
        "server": {"name": NATS, "host": "127.0.0.1", "id": NATS, "ver": "2.10.27"},
        "client": {**client, "lang": "python3", "jwt": 900 * "x", "name_tag": who, "kind": "Client"},
    }) + "\n"  # fmt: skip


def of_nginx(number: int, who: str) -> str:
    request = number if who != "alice" else number + STEPS
    said = {"msec": "1796150148.123", "request_id": f"{request:032x}", "user": "", "status": "200"}
    return json.dumps({**said, "agent": f"answerable/{number:032x}" if who != "alice" else "curl/8"}) + "\n"


def of_cloudtrail(number: int, who: str) -> str:
    named = session_of(number)
    role = {
        "type": "Role",
        "principalId": "AROA2W7SOKHEXAMPLE",
        "accountId": "112233445566",
        "userName": "support",
    }
    context = {
        "sessionIssuer": {**role, "arn": "arn:aws:iam::112233445566:role/support"},
        "sourceIdentity": who,
    }
    caller = {
        "type": "AssumedRole",
        "principalId": f"AROA2W7SOKHEXAMPLE:{who}",
        "arn": f"arn:aws:sts::112233445566:assumed-role/support/{who}",
        "accessKeyId": named["aws_access_key"],
        "sessionContext": {**context, "attributes": {"mfaAuthenticated": "false"}},
    }
    said = {
        "eventVersion": "1.11",
        "userIdentity": caller,
        "eventTime": "2026-12-01T18:35:48Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "52.95.4.21",
        "userAgent": "[Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux]",
        "requestParameters": {
            "bucketName": "cases",
            "Host": "cases.s3.eu-central-1.amazonaws.com",
            "key": "42/a",
        },
        "responseElements": None,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "bytesTransferredIn": 0,
            "bytesTransferredOut": 5,
        },
        "requestID": named["aws_request_id"],
        "eventID": "7dd15a89-ae0f-4340-8e6c-0123456789ab",
        "resources": [{"type": "AWS::S3::Object", "ARN": "arn:aws:s3:::cases/42/a"}],
        "eventType": "AwsApiCall",
        "recipientAccountId": "112233445566",
    }
    return json.dumps(said, separators=(",", ":")) + ","


def in_ocsf(number: int, who: str) -> str:
    named = session_of(number)
    user = {
        "type": "AssumedRole",
        "credential_uid": named["aws_access_key"],
        "uid": f"arn:aws:sts::112233445566:assumed-role/support/{who}",
        "uid_alt": f"AROA2W7SOKHEXAMPLE:{who}",
    }
    said = {
        "activity_id": 2,
        "actor": {
            "user": user,
            "session": {"issuer": "arn:aws:iam::112233445566:role/support", "is_mfa": False},
        },
        "api": {"operation": "GetObject", "request": {"uid": named["aws_request_id"]}},
        "class_uid": 6003,
        "cloud": {"provider": "AWS", "region": "us-east-1"},
        "http_request": {"user_agent": "Boto3/1.40"},
        "metadata": {"event_code": "AwsApiCall", "product": {"name": "CloudTrail"}, "version": "1.5.0"},
        "severity_id": 1,
        "src_endpoint": {"ip": "52.95.4.21"},
        "time": AT,
        "type_uid": 600302,
        "unmapped": {"recipientAccountId": "112233445566", "readOnly": "true"},
    }
    return json.dumps(said) + "\n"


def forms() -> dict[str, tuple[Any, Callable[[int, str], str]]]:
    times = LogTimes(zone=offset_of("+00:00"), now=AT)
    return {
        "postgres stderr": (PostgresLog(times, LinePrefix(PREFIX)), in_text),
        "postgres csvlog": (PostgresLog(times, None), in_csv),
        "postgres jsonlog": (PostgresLog(times, None), in_json),
        "mariadb": (MariadbLog(times), in_audit),
        "sshd": (SshdLog(times), of_sshd),
        "rabbitmq": (RabbitmqLog(times), of_rabbitmq),
        "redis": (RedisLog(times), of_redis),
        "nats": (NatsLog(times), of_nats),
        "nats events": (NatsLog(times), in_events),
        "nginx": (NginxLog(times), of_nginx),
        "cloudtrail": (CloudtrailLog(times), of_cloudtrail),
        "ocsf": (OcsfLog(times), in_ocsf),
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
        whole = json_objects(io.BytesIO(log)) if name in OBJECTS else bounded_lines(io.BytesIO(log))
        attribute_file(counted, name, reader.read(whole), steps, frozenset())
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
