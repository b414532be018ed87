"""Error codes of events sent to subscribers."""

from __future__ import annotations

from answerable.errors.code import BrokenCode, MalformedCode, RefusedCode, UnavailableCode

DELIVERY_TOLD = MalformedCode("delivery.told", "… is not a state of a delivery")

EVENT_POST_AUTHORITIES = MalformedCode(
    "event_post.authorities", "the authorities of receivers of events are certificates in PEM"
)
EVENT_POST_UNREACHABLE = UnavailableCode(
    "event_post.unreachable", "a receiver of events cannot be reached: …", port="event_post", effect="unknown"
)

EVENT_STREAM_BUSY = UnavailableCode(
    "event_stream.busy",
    "the event stream was changed … times at the same moment: try again",
    port="event_register",
)
EVENT_STREAM_COUNT = RefusedCode(
    "event_stream.count", "a receiver has at most … streams: change or delete one of them"
)
EVENT_STREAM_ENDPOINT = MalformedCode(
    "event_stream.endpoint",
    "push address … is not listed for this receiver: have it added to `announcing.receivers`, or poll",
)
EVENT_STREAM_FAILED = BrokenCode("event_stream.failed", "internal error: see the server's log")
EVENT_STREAM_FULL = RefusedCode("event_stream.full", "the stream is full: read the waiting events first")
EVENT_STREAM_KEPT = MalformedCode("event_stream.kept", "not a stored event stream")
EVENT_STREAM_KEY = BrokenCode("event_stream.key", "there is an event stream but no key to sign its events")
EVENT_STREAM_MEMBER = MalformedCode("event_stream.member", "the body is a JSON object")
EVENT_STREAM_RECEIVER = RefusedCode(
    "event_stream.receiver",
    "… is not a receiver of events: the operator must list it in `announcing.receivers`",
)
EVENT_STREAM_TOO_OFTEN = RefusedCode(
    "event_stream.too_often",
    "the stream changes of this receiver exceed … bytes in … seconds: wait and try again",
)
EVENT_STREAM_UNKNOWN = RefusedCode("event_stream.unknown", "you have no stream …")

WEBHOOK_SECRET = MalformedCode(
    "webhook.secret", "the secret of a webhook is `…` and base64 of … to … random bytes"
)
