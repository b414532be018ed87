"""Read events of the Open Cybersecurity Schema Framework (OCSF), whatever product made them.

Laws: who acts is the user whom the event's product names as the actor; whoever did not get in is nobody. Sessions are
known of requests to AWS and of HTTP; of all else the account alone tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from answerable.adapters.log_readers.cloudtrail import (
    acting_label,
    assumed_role,
    aws_keys,
    object_in,
    text_in,
)
from answerable.adapters.log_readers.nginx import REQUEST
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.json_objects import JsonObject
    from answerable.adapters.log_readers.log_times import LogTimes

_AUTHENTICATION: Final = 3002
_HTTP: Final = 4002
_SUCCESS: Final = 1
_REFUSED: Final = 401


class OcsfLog:
    """Times are numbers in these events."""

    def __init__(self, times: LogTimes) -> None:
        """times: not needed."""

    def read(self, objects: Iterable[JsonObject]) -> Iterator[LogLine | UnreadLine]:
        """Yield one value for each event."""
        for number, event in objects:
            if event is None or type(event.get("time")) is not int or type(event.get("class_uid")) is not int:
                yield UnreadLine(number, "broken")
            else:
                yield _line(number, event)


def _line(number: int, event: dict[str, Any]) -> LogLine:
    kind, at = event["class_uid"], max(1, event["time"])
    actor, request = object_in(event, "actor"), object_in(event, "http_request")
    user = object_in(actor, "user")
    if kind == _AUTHENTICATION and not _account(user):
        user = object_in(event, "user")
    label = acting_label(text_in(request, "user_agent"))
    refused = kind == _AUTHENTICATION and not _succeeded(event)
    if kind == _HTTP:
        asked = text_in(request, "uid")
        refused = object_in(event, "http_response").get("code") == _REFUSED
        login = "" if refused else _account(user)
        return LogLine(number, at, "", ((REQUEST, asked),) if asked else (), label, login)
    if refused:
        return LogLine(number, at, "")
    # Version 1.0 has the name of a role's session in a member of its own.
    arn = text_in(user, "uuid") or text_in(user, "uid")
    role, session = assumed_role(arn)
    keys: tuple[tuple[str, str], ...] = ()
    if text_in(object_in(event, "cloud"), "provider") == "AWS" and not actor.get("invoked_by"):
        asked = text_in(object_in(object_in(event, "api"), "request"), "uid")
        keys = aws_keys(asked, text_in(user, "credential_uid"))
    return LogLine(number, at, session or _account(user), keys, label, role)


def _succeeded(event: dict[str, Any]) -> bool:
    status = event.get("status_id")
    return event.get("status") == "Success" if status is None else status == _SUCCESS


def _account(user: dict[str, Any]) -> str:
    return text_in(user, "name") or text_in(user, "uid")
