"""Read events of the Open Cybersecurity Schema Framework (OCSF), whatever product made them.

Laws: who acts is the user whom the event's product names as the actor; whoever did not get in is nobody. Sessions are
known of requests to AWS, of HTTP and of mail; of all else the account alone tells.
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
from answerable.adapters.log_readers.nginx import REQUEST, asked
from answerable.adapters.log_readers.postfix import MESSAGE
from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine, UnreadLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.adapters.log_readers.json_objects import JsonObject
    from answerable.adapters.log_readers.log_times import LogTimes

_AUTHENTICATION: Final = 3002
_HTTP: Final = 4002
_MAIL: Final = 4009
_SUCCESS: Final = 1
_ADDRESSES_MAX: Final = 1_000
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
        session = text_in(request, "uid")
        address = text_in(object_in(request, "url"), "path")
        content = asked(text_in(request, "http_method"), address)
        refused = object_in(event, "http_response").get("code") == _REFUSED
        login = "" if refused else _account(user)
        return LogLine(
            number, at, "", ((REQUEST, session),) if session else (), label, login, content=content
        )
    if kind == _MAIL:
        return _mail(number, at, object_in(event, "email"))
    if refused:
        return LogLine(number, at, "")
    # Version 1.0 has the name of a role's session in a member of its own.
    arn = text_in(user, "uuid") or text_in(user, "uid")
    role, assumed = assumed_role(arn)
    keys: tuple[tuple[str, str], ...] = ()
    if text_in(object_in(event, "cloud"), "provider") == "AWS" and not actor.get("invoked_by"):
        request_id = text_in(object_in(object_in(event, "api"), "request"), "uid")
        keys = aws_keys(request_id, text_in(user, "credential_uid"))
    return LogLine(number, at, assumed or _account(user), keys, label, role)


def _mail(number: int, at: int, email: dict[str, Any]) -> LogLine:
    """Return the line of a message. The envelope has every recipient, and headers may leave some out."""
    envelope = _addresses(email, "smtp_to")
    named = [*_addresses(email, "to"), *_addresses(email, "cc")]
    said = (
        Said("recipients", tuple(envelope), "all") if envelope else Said("recipients", tuple(named), "some")
    )
    session = text_in(email, "message_uid").strip("<>")
    return LogLine(
        number, at, "", ((MESSAGE, session),) if session else (), content=(said,) if said.values else ()
    )


def _addresses(email: dict[str, Any], name: str) -> list[str]:
    """Return addresses without the names of people before them."""
    found = email.get(name)
    texts = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
    return [one.rpartition("<")[2].rstrip("> ").strip() for one in texts[:_ADDRESSES_MAX]]


def _succeeded(event: dict[str, Any]) -> bool:
    status = event.get("status_id")
    return event.get("status") == "Success" if status is None else status == _SUCCESS


def _account(user: dict[str, Any]) -> str:
    return text_in(user, "name") or text_in(user, "uid")
