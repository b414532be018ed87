"""Build the notifications sent to people: one sentence of ours, badges, the deadline, and a link to the console.

Laws: a notification contains no argument, reason or comment beyond the card's sentence; each text is `visible`, on one
line and cut to its limit; nothing in it can answer an approval, except an `offer`, which shows the whole card or is
absent. The link is ours and holds the approval's id, which grants nothing by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from answerable.core.approval.visible import visible
from answerable.core.canonical import encode, parse
from answerable.errors.codes.approval import APPROVAL_OBJECT, MESSAGE_FORM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.core.approval.chat_click import Offer
    from answerable.core.approval.notice import Notice
    from answerable.core.identity.names.principal import UnixMillis

MessageKind = Literal["asked", "ended", "result", "digest", "notice", "test"]

SENTENCE_CHARS_MAX: Final = 500
NAME_CHARS_MAX: Final = 120
NAMES_MAX: Final = 5
_OUTCOMES: Final = {
    "approved": "approved",
    "used": "approved",
    "denied": "denied",
    "expired": "ran out of time, so nothing was done",
    "void": "void, as it is not any more what was shown",
}
# What mail programs and chats turn into links: the dot before letters, and what follows a scheme.
_LINKED: Final = re.compile(r"(?<=\w)([.。．｡])(?=[^\W\d_])|(://)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notification, independent of its channel. id: equal for all attempts of one notification. thread: groups
    related messages, the approval's id. title: in our words. sentence: the effect, from the card. badges: from the
    card. lines: pairs of label and text. link: to the console; empty where there is none. until: Unix milliseconds, 0
    for no end. urgent: somebody waits for an answer. offer: buttons, for one person; None where only the console takes
    the answer."""

    id: str
    kind: MessageKind
    thread: str
    title: str
    sentence: str
    badges: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    link: str = ""
    until: int = 0
    at: int = 0
    urgent: bool = False
    offer: Offer | None = None


def asked_message(approval: Approval, *, link: str, now: UnixMillis) -> Message:
    """Build the message to those who may answer. Raises Malformed (`approval.object`, `json.*`) for an approval without
    a card."""
    sentence, badges = _of_card(approval)
    asks = " and ".join(f"{one.count} of {one.group}" for one in approval.requirements)
    return Message(
        id=f"{approval.id}.asked",
        kind="asked",
        thread=approval.id,
        title="An action waits for your answer",
        sentence=sentence,
        badges=badges,
        lines=(("by", _name(approval.agent)), ("for", _name(approval.principal)), ("asks", _name(asks))),
        link=link,
        until=approval.expires_at,
        at=now,
        urgent=True,
    )


def ended_message(
    approval: Approval, *, link: str, now: UnixMillis, name_answerers: bool, to_requester: bool = False
) -> Message:
    """Build the message about the result, to those who were asked, or to the requester. name_answerers: state who
    answered.

    Raises Malformed (`approval.object`, `json.*`) for an approval without a card.
    """
    sentence, badges = _of_card(approval)
    state = approval.state_at(now)
    outcome = "a test, by which nothing runs" if approval.canary is not None else _OUTCOMES.get(state, state)
    verdict = {"denied": "deny"}.get(state, "approve")
    by = [_name(one.by) for one in approval.answers if one.verdict == verdict]
    lines: list[tuple[str, str]] = [("by", _name(approval.agent)), ("for", _name(approval.principal))]
    if name_answerers and by and state in ("approved", "used", "denied"):
        more = f" and {len(by) - NAMES_MAX} more" if len(by) > NAMES_MAX else ""
        lines.append((outcome + " by", ", ".join(by[:NAMES_MAX]) + more))
    elif approval.ended_by and state == "denied":
        lines.append(("denied by", "a hold"))
    return Message(
        id=f"{approval.id}.{'result' if to_requester else 'ended'}",
        kind="result" if to_requester else "ended",
        thread=approval.id,
        title=f"{'Of your task: ' if to_requester else ''}{outcome[:1].upper()}{outcome[1:]}",
        sentence=sentence,
        badges=badges,
        lines=tuple(lines),
        link=link,
        at=now,
    )


def digest_message(count: int, *, identity: str, link: str, now: UnixMillis) -> Message:
    """Build the message that replaces many single ones. identity: id of this notification. link: to the list of pending
    approvals."""
    return Message(
        id=identity,
        kind="digest",
        thread=identity,
        title=f"{count} more {'action waits' if count == 1 else 'actions wait'} for your answer",
        sentence="So many came at once that they are not told one by one.",
        link=link,
        at=now,
        urgent=True,
    )


def notice_message(notice: Notice, *, now: UnixMillis) -> Message:
    """Build the message to a group that policy wants notified of an allowed action, or to those who could have answered
    one that somebody ran by emergency access."""
    if notice.what == "glass":
        return Message(
            id=f"{notice.action_id}.glass",
            kind="notice",
            thread=notice.action_id,
            title=f"For {_name(notice.group)} to know: somebody broke a glass",
            sentence=_cut(
                f"{visible(notice.agent)} may run {visible(notice.capability)} without its approval; it owes a review",
                SENTENCE_CHARS_MAX,
            ),
            lines=(("approval", _name(notice.action_id)), ("ledger entry", str(notice.intent))),
            at=now,
        )
    return Message(
        id=f"{notice.action_id}.notice",
        kind="notice",
        thread=notice.action_id,
        title=f"For {_name(notice.group)} to know: an action was allowed",
        sentence=_cut(
            f"{visible(notice.agent)} was allowed {visible(notice.capability)}", SENTENCE_CHARS_MAX
        ),
        lines=(("action", _name(notice.action_id)), ("ledger entry", str(notice.intent))),
        at=now,
    )


def trial_message(identity: str, *, channel: str, link: str, now: UnixMillis) -> Message:
    """Build the message that tests a channel."""
    return Message(
        id=identity,
        kind="test",
        thread=identity,
        title="This is a test",
        sentence=f"The channel `{_name(channel)}` reaches you. Nobody waits for an answer.",
        link=link,
        at=now,
    )


def message_text(message: Message) -> str:
    """Return the message as JSON, for storage until it is sent."""
    return encode(
        {
            "at": message.at,
            "badges": [*message.badges],
            "id": message.id,
            "kind": message.kind,
            "lines": [[*pair] for pair in message.lines],
            "link": message.link,
            "sentence": message.sentence,
            "thread": message.thread,
            "title": message.title,
            "until": message.until,
            "urgent": message.urgent,
        }
    ).decode()


def message_in(text: str) -> Message:
    """Parse what `message_text` wrote. Raises Malformed (`message.form`, `json.*`)."""
    said = parse(text.encode())
    try:
        members = cast("dict[str, str]", said)
        pairs = cast("list[list[str]]", members["lines"])
        return Message(
            id=str(members["id"]),
            kind=cast("MessageKind", members["kind"]),
            thread=str(members["thread"]),
            title=str(members["title"]),
            sentence=str(members["sentence"]),
            badges=tuple(str(one) for one in members["badges"]),
            lines=tuple((str(label), str(one)) for label, one in pairs),
            link=str(members["link"]),
            until=int(members["until"]),
            at=int(members["at"]),
            urgent=bool(members["urgent"]),
        )
    except (KeyError, TypeError, ValueError):
        raise MESSAGE_FORM() from None


def unlinked(text: str) -> str:
    """Return the text so that no program turns it into a link: `evil[.]example`, `https[://]`. Other
    text is unchanged."""
    return _LINKED.sub(lambda found: f"[{found[0]}]", text)


def left(message: Message, now: int) -> str:
    """Return the remaining time, in words; empty where there is no end."""
    if not message.until:
        return ""
    minutes = max(0, message.until - now) // 60_000
    if minutes < 1:
        return "less than a minute left"
    hours, rest = divmod(minutes, 60)
    words = f"{hours} h {rest} min" if hours else f"{rest} min"
    return f"{words} left"


def _of_card(approval: Approval) -> tuple[str, tuple[str, ...]]:
    card = parse(approval.card.bytes)
    sentence = card.get("sentence") if isinstance(card, dict) else None
    badges = card.get("badges") if isinstance(card, dict) else None
    if not isinstance(sentence, str) or not isinstance(badges, list):
        raise APPROVAL_OBJECT("this approval has no card")
    # From our own template it is visible already; a stored card is not trusted to be.
    return _cut(visible(sentence), SENTENCE_CHARS_MAX), tuple(_name(str(one)) for one in badges[:8])


def _name(text: str) -> str:
    return _cut(visible(text), NAME_CHARS_MAX)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def cut_texts(texts: Sequence[str], chars_max: int) -> str:
    """Join these texts on one line, cut to the limit."""
    return _cut(" · ".join(texts), chars_max)
