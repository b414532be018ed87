"""An event stream to one receiver (SSF 1.0, section 8.1), including webhooks, which the deployment's owner configures.

Laws: a stream belongs to one receiver for ever; it pushes only to an address that the deployment's owner lists for that
receiver, compared literally; transmitter-supplied members are never changed by a request of a receiver; events that a
receiver is not sent are counted and reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.canonical import encode, parse
from answerable.core.incident.security_event import SUPPORTED, matches
from answerable.errors import shown
from answerable.errors.codes.events import EVENT_STREAM_ENDPOINT, EVENT_STREAM_MEMBER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue

Method = Literal["push", "poll", "webhook"]
Status = Literal["enabled", "paused", "disabled"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
METHODS: Final[tuple[Method, ...]] = get_args(Method)

PUSH_URN: Final = "urn:ietf:rfc:8935"
POLL_URN: Final = "urn:ietf:rfc:8936"
VERIFY_SECONDS_MIN: Final = 10
"""Minimum time between two verifications that a receiver requests."""
DESCRIPTION_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 200
REQUESTED_MAX: Final = 64
URI_CHARS_MAX: Final = 2_048
AUTHORIZATION_CHARS_MAX: Final = 4_096
SUBJECTS_MAX: Final = 1_000
SUBJECT_BYTES_MAX: Final = 2_048
HEADER_UNKNOWN: Final = "\0"
"""In place of an authorization header that is in no entry; no receiver can set it."""
HEADER_LOST: Final = (
    "the authorization header was lost with the registers: send it again, and enable the stream"
)

_LEFT_OUT: Final = " events were left out so far, because"
_SUPPLIED: Final = frozenset({"events_requested", "delivery", "description"})
_OURS: Final = frozenset(
    {"stream_id", "iss", "aud", "events_supported", "events_delivered", "min_verification_interval"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """A stream of events to one receiver. receiver: the agent that owns it, or the name of a webhook. endpoint: the
    push address; empty for polling.

    requested: event types, None for all. removed: subjects that the receiver excluded, as canonical JSON. groups: those
    a webhook serves; stops: whether it receives events about what ended. since: by log, the first entry it receives.
    refused: events that its receiver permanently refused. left_out: how many of the dropped events it was told of.
    update: id of the pending event about its own status, empty for none. verified_at: time of the last verification.
    revision: changes with every modification.
    """

    id: str
    receiver: str
    method: Method
    endpoint: str = ""
    authorization: str = field(default="", repr=False)
    requested: tuple[str, ...] | None = None
    description: str = ""
    status: Status = "enabled"
    reason: str = ""
    removed: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    stops: bool = True
    since: Mapping[str, int] = field(default_factory=dict)
    refused: int = 0
    left_out: int = 0
    update: str = ""
    verified_at: int = 0
    revision: int = 0

    @property
    def delivered(self) -> tuple[str, ...]:
        """The types of events that it is sent."""
        return (
            SUPPORTED if self.requested is None else tuple(one for one in SUPPORTED if one in self.requested)
        )

    @property
    def header(self) -> str:
        """The authorization header to push with; empty for none, and where it is not known."""
        return "" if self.authorization == HEADER_UNKNOWN else self.authorization

    def wants(self, kind: str, subject: Mapping[str, JSONValue]) -> bool:
        """Whether its receiver wants this event about this subject."""
        if kind not in self.delivered:
            return False
        for text in self.removed:
            left_out = parse(text.encode())
            if isinstance(left_out, dict) and matches(left_out, subject):
                return False
        return True


def left_out_reason(left_out: int, limit: int) -> str:
    """Return why this server pauses a stream of which so many events were dropped. limit: of its queue."""
    return f"{left_out}{_LEFT_OUT} {limit} waited already"


def is_paused_by_server(stream: EventStream) -> bool:
    """Whether this server paused the stream, which is in no entry: events were left out, or its header is not known."""
    reasons = (HEADER_LOST, f"{stream.left_out}{_LEFT_OUT}")
    return stream.status == "paused" and stream.reason.startswith(reasons)


def configuration(stream: EventStream, *, issuer: str, poll_url: str) -> dict[str, JSONValue]:
    """Return the configuration as its receiver reads it. poll_url: where this stream is polled."""
    delivery: dict[str, JSONValue] = (
        {"method": PUSH_URN, "endpoint_url": stream.endpoint}
        if stream.method == "push"
        else {"method": POLL_URN, "endpoint_url": poll_url}
    )
    if stream.header:
        delivery["authorization_header"] = stream.header
    supported: list[JSONValue] = [*SUPPORTED]
    delivered: list[JSONValue] = [*stream.delivered]
    found: dict[str, JSONValue] = {
        "stream_id": stream.id,
        "iss": issuer,
        "aud": stream.receiver,
        "delivery": delivery,
        "events_supported": supported,
        "events_delivered": delivered,
        "min_verification_interval": VERIFY_SECONDS_MIN,
    }
    if stream.requested is not None:
        found["events_requested"] = [*stream.requested]
    if stream.description:
        found["description"] = stream.description
    return found


def configured(
    stream: EventStream,
    sent: Mapping[str, JSONValue],
    *,
    endpoints: Collection[str],
    ours: Mapping[str, JSONValue],
    whole: bool,
) -> EventStream:
    """Return the stream with a receiver's changes. endpoints: permitted push addresses. ours: its configuration before,
    with which transmitter-supplied members must agree. whole: omitted members are removed, else they stay.

    Raises Malformed (`event_stream.member`, `event_stream.endpoint`).
    """
    for name in sent.keys() - _SUPPLIED:
        if name not in _OURS:
            continue  # Unknown members are ignored.
        if encode(sent[name]) != encode(ours.get(name)):
            raise EVENT_STREAM_MEMBER(f"`{name}` is set by this server, and differs")
    if whole or "events_requested" in sent:
        stream = replace(stream, requested=_requested(sent.get("events_requested")))
    if whole or "description" in sent:
        stream = replace(stream, description=_description(sent.get("description")))
    if whole or "delivery" in sent:
        stream = _delivered_by(stream, sent.get("delivery"), endpoints, ours)
    return stream


def subject_in(sent: Mapping[str, JSONValue]) -> str:
    """Return the subject of a request, as canonical JSON. Raises Malformed (`event_stream.member`)."""
    subject = sent.get("subject")
    if not isinstance(subject, dict) or not isinstance(subject.get("format"), str):
        raise EVENT_STREAM_MEMBER("`subject` is an object with a text `format`")
    text = encode(subject)
    if len(text) > SUBJECT_BYTES_MAX:
        raise EVENT_STREAM_MEMBER(f"`subject` has {len(text)} bytes, expected at most {SUBJECT_BYTES_MAX}")
    return text.decode()


def status_in(sent: Mapping[str, JSONValue]) -> tuple[Status, str]:
    """Return status and reason of a request. Raises Malformed (`event_stream.member`)."""
    wanted = next((one for one in STATUSES if one == sent.get("status")), None)
    if wanted is None:
        raise EVENT_STREAM_MEMBER(f"`status` is one of {', '.join(STATUSES)}")
    reason = sent.get("reason", "")
    if not isinstance(reason, str) or not (reason == "" or reason.isprintable()):
        raise EVENT_STREAM_MEMBER("`reason` is printable text on one line")
    return wanted, reason[:REASON_CHARS_MAX]


def _requested(value: JSONValue) -> tuple[str, ...] | None:
    if value is None:
        return None
    texts = [one for one in value if isinstance(one, str)] if isinstance(value, list) else None
    if texts is None or not isinstance(value, list) or len(texts) != len(value) or len(value) > REQUESTED_MAX:
        raise EVENT_STREAM_MEMBER(f"`events_requested` is a list of at most {REQUESTED_MAX} URIs")
    if any(len(one) > URI_CHARS_MAX or not one.isprintable() for one in texts):
        raise EVENT_STREAM_MEMBER(
            f"`events_requested` has a URI of more than {URI_CHARS_MAX} characters, or an invalid one"
        )
    return tuple(dict.fromkeys(texts))


def _description(value: JSONValue) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not (value == "" or value.isprintable()):
        raise EVENT_STREAM_MEMBER("`description` is printable text on one line")
    return value[:DESCRIPTION_CHARS_MAX]


def _delivered_by(
    stream: EventStream, value: JSONValue, endpoints: Collection[str], ours: Mapping[str, JSONValue]
) -> EventStream:
    if value is None:
        return replace(stream, method="poll", endpoint="", authorization="")
    if not isinstance(value, dict):
        raise EVENT_STREAM_MEMBER("`delivery` is an object")
    method, endpoint = value.get("method"), value.get("endpoint_url")
    authorization = value.get("authorization_header", "")
    if method == POLL_URN:
        before = ours.get("delivery")
        if endpoint is not None and not (isinstance(before, dict) and before.get("endpoint_url") == endpoint):
            raise EVENT_STREAM_MEMBER("`endpoint_url` of a polled stream is set by this server")
        return replace(stream, method="poll", endpoint="", authorization="")
    if method != PUSH_URN:
        raise EVENT_STREAM_MEMBER(f"`delivery.method` is {PUSH_URN} or {POLL_URN}")
    if not isinstance(endpoint, str) or endpoint not in endpoints:
        raise EVENT_STREAM_ENDPOINT(
            f"push address {shown(endpoint)} is not listed for this receiver: have it added to "
            "`announcing.receivers`, or poll"
        )
    if (
        not isinstance(authorization, str)
        or len(authorization) > AUTHORIZATION_CHARS_MAX
        or not all(" " <= mark <= "~" for mark in authorization)
        or authorization != authorization.strip()
    ):
        raise EVENT_STREAM_MEMBER("`authorization_header` is printable ASCII on one line")
    return replace(stream, method="push", endpoint=endpoint, authorization=authorization)
