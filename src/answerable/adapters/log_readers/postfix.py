"""Read what Postfix says of each message: its id, how many recipients it has, and to whom it was delivered.

Laws: a message is known by its Message-ID, which its sender wrote; recipients are those of the envelope, before aliases
are followed.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogLine

MESSAGE: Final = "http_x_message_id"
PROGRAMS: Final = re.compile(r"postfix[\w-]{0,32}/[a-z/-]{1,32}")
UNIT: Final = re.compile(r"postfix(?:@[\w.\\-]{1,64})?\.service")
MESSAGES_MAX: Final = 16_384
_QUEUED: Final = re.compile(r"([0-9A-Za-z]{6,32}): (.{1,4096})", re.DOTALL)
_NAMED: Final = re.compile(r"message-id=<([^<>\s]{1,128})>")
_COUNTED: Final = re.compile(r"from=<.{0,512}>, size=\d{1,15}, nrcpt=(\d{1,9}) ")
_DELIVERED: Final = re.compile(r"to=<([^<>]{1,512})>, (?:orig_to=<([^<>]{1,512})>, )?relay=")
_REMOVED: Final = "removed"


class PostfixLog:
    """Remembers which message each queue id is of, of the newest MESSAGES_MAX."""

    def __init__(self) -> None:
        self._messages: OrderedDict[str, str] = OrderedDict()

    def said(self, number: int, at: int, message: str) -> LogLine:
        """Return what one message of a process of Postfix says."""
        queued = _QUEUED.fullmatch(message)
        if queued is None:
            return LogLine(number, at, "")
        queue, text = queued.groups()
        named = _NAMED.match(text)
        if named is not None:
            self._messages[queue] = named[1]
            if len(self._messages) > MESSAGES_MAX:
                self._messages.popitem(last=False)
        known = self._messages.pop(queue, "") if text == _REMOVED else self._messages.get(queue, "")
        if not known:
            return LogLine(number, at, "")
        return LogLine(number, at, "", ((MESSAGE, known),), content=_recipients(text))


def _recipients(text: str) -> tuple[Said, ...]:
    counted, delivered = _COUNTED.match(text), _DELIVERED.match(text)
    if counted is not None:
        return (Said("recipients", (counted[1],), "count"),)
    if delivered is not None:
        # What an alias stands for is not what was sent to.
        return (Said("recipients", (delivered[2] or delivered[1],), "some"),)
    return ()
