"""Read the records of AWS CloudTrail, from the files that it delivers, or one record a line.

Laws: the account of an assumed role is the name of its session, and the role is its second name; request and access key
are the session, where the caller itself asked and no service of AWS did so for it. Of its parameters, bucket and
key are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.json_objects import JsonObject
    from answerable.adapters.log_readers.log_times import LogTimes

REQUEST: Final = "aws_request_id"
ACCESS_KEY: Final = "aws_access_key"
TEXT_CHARS_MAX: Final = 1_024
_AGENT: Final = re.compile(r"answerable/([0-9a-f]{32})\]?$")
_ASSUMED: Final = re.compile(r"arn:[\w-]{1,32}:sts::\d{1,32}:assumed-role/(.{1,512})/([^/]{1,64})")


class CloudtrailLog:
    """Records of callers without a name are of nobody."""

    def __init__(self, times: LogTimes) -> None:
        self._times = times

    def read(self, objects: Iterable[JsonObject]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each record."""
        for number, record in objects:
            at = "" if record is None else text_in(record, "eventTime")
            if record is None or not at:
                yield UnreadLine(number, "broken")
            else:
                yield self._line(number, self._times.stamped(at), record)

    def _line(self, number: int, at: int, record: dict[str, Any]) -> LogLine:
        caller = object_in(record, "userIdentity")
        arn = text_in(caller, "arn")
        role, session = assumed_role(arn)
        asked = "" if caller.get("invokedBy") else text_in(record, "requestID")
        label = acting_label(text_in(record, "userAgent"))
        label = label or text_in(object_in(caller, "sessionContext"), "sourceIdentity")
        account = session or text_in(caller, "userName") or arn
        keys = aws_keys(asked, text_in(caller, "accessKeyId"))
        return LogLine(
            number, at, account, keys, label, role, content=_named(object_in(record, "requestParameters"))
        )


def _named(parameters: dict[str, Any]) -> tuple[Said, ...]:
    found = (
        Said("bucket", (text_in(parameters, "bucketName"),)),
        Said("key", (text_in(parameters, "key"),)),
    )
    return tuple(one for one in found if one.values[0] and len(one.values[0]) < TEXT_CHARS_MAX)


def object_in(value: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that is an object; an empty one for any other."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def text_in(value: dict[str, Any], name: str) -> str:
    """Return a member that is a text, bounded and printable as UTF-8; an empty one for any other."""
    found = value.get(name)
    if not isinstance(found, str):
        return ""
    return found[:TEXT_CHARS_MAX] if found.isascii() else _encodable(found[:TEXT_CHARS_MAX])


def _encodable(text: str) -> str:
    # JSON can escape half of a character that no encoding has.
    return text.encode("utf-8", "replace").decode()


def assumed_role(arn: str) -> tuple[str, str]:
    """Return role and session of the caller with an assumed role; two empty texts for any other."""
    found = _ASSUMED.fullmatch(arn)
    return (found[1].rpartition("/")[2], found[2]) if found is not None else ("", "")


def aws_keys(request: str, access_key: str) -> tuple[tuple[str, str], ...]:
    """Return the session of a request; nothing where the request has no id."""
    if not request:
        return ()
    return ((REQUEST, request), (ACCESS_KEY, access_key)) if access_key else ((REQUEST, request),)


def acting_label(agent: str) -> str:
    """Return the action that a user agent names; empty for none."""
    found = _AGENT.search(agent)
    return found[1] if found is not None else ""
