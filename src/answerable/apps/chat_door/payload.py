"""Parse Slack's payload of a button click strictly: anything that is not one of this product's buttons in one of its
messages is refused.

Source: Slack's reference of the payload `block_actions`: a form with the one field `payload`, which is JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl

from answerable.core.approval.chat_click import APPROVE, DENY, DENY_BECAUSE, ChatAccount
from answerable.core.approval.reasons import QUICK
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed
from answerable.errors.codes.approval import CHAT_PAYLOAD
from answerable.flows.approval.answer_by_click import Click

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

DEPTH_MAX: Final = 24
FORM: Final = "application/x-www-form-urlencoded"
_REASONS: Final = frozenset(one.code for one in QUICK)
_TEAM: Final = re.compile(r"[TE][A-Z0-9]{2,40}")
_USER: Final = re.compile(r"[UW][A-Z0-9]{2,40}")
_CHANNEL: Final = re.compile(r"[CDG][A-Z0-9]{2,40}")
_STAMP: Final = re.compile(r"[0-9]{1,16}\.[0-9]{1,10}")


def click_of(body: bytes, *, content_type: str, request: str, sent_s: int) -> Click:
    """Return the click in a request whose signature was checked.

    request: SHA-256 of the body, hex. sent_s: the request's signed time, Unix seconds. Raises Malformed
    (`chat.payload`, `json.*`).
    """
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise _malformed(f"expected a form, `{FORM}`")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            strict_parsing=True,
            keep_blank_values=True,
            max_num_fields=1,
            errors="strict",
        )
    except ValueError:
        raise _malformed("expected a form with the one field `payload`") from None
    if [name for name, _ in pairs] != ["payload"]:
        raise _malformed("expected a form with the one field `payload`")
    payload = parse(pairs[0][1].encode(), limits=Limits(depth_max=DEPTH_MAX))
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        raise _malformed("expected a click on a block")
    team = _text(_object(payload, "team"), "id", _TEAM)
    user = _object(payload, "user")
    if user.get("team_id", team) != team:
        raise _malformed("its user belongs to another workspace than the click")
    container = _object(payload, "container")
    if container.get("type") != "message" or container.get("is_ephemeral") is True:
        raise _malformed("expected a click in a message")
    where, stamp = _text(container, "channel_id", _CHANNEL), _text(container, "message_ts", _STAMP)
    verdict, nonce, reason = _said(payload)
    return Click(
        account=ChatAccount(team=team, user=_text(user, "id", _USER)),
        nonce=nonce,
        verdict=verdict,
        reason=reason,
        place=f"{where}:{stamp}",
        request=request,
        sent_s=sent_s,
    )


def _said(payload: dict[str, JSONValue]) -> tuple[Literal["approve", "deny"], bytes, str]:
    actions = payload.get("actions")
    if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
        raise _malformed("expected one action")
    action = actions[0]
    kind = (action.get("type"), action.get("action_id"))
    if kind == ("static_select", DENY_BECAUSE):
        value, _, reason = _value(_object(action, "selected_option")).partition(".")
        if reason not in _REASONS:
            raise _malformed("expected one of the offered reasons")
        return "deny", _nonce(value), reason
    if kind == ("button", DENY):
        return "deny", _nonce(_value(action)), ""
    if kind == ("button", APPROVE):
        return "approve", _nonce(_value(action)), ""
    raise _malformed("its button is unknown")


def _value(of: dict[str, JSONValue]) -> str:
    value = of.get("value")
    if not isinstance(value, str):
        raise _malformed("expected the value of a button")
    return value


def _nonce(value: str) -> bytes:
    nonce = from_base64url_32(value)
    if nonce is None:
        raise _malformed("expected the value of a known button")
    return nonce


def _object(of: dict[str, JSONValue], name: str) -> dict[str, JSONValue]:
    value = of.get(name)
    if not isinstance(value, dict):
        raise _malformed(f"`{name}` is missing")
    return value


def _text(of: dict[str, JSONValue], name: str, form: re.Pattern[str]) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _malformed(f"`{name}` is missing, or is no id")
    return value


def _malformed(why: str) -> Malformed:
    return CHAT_PAYLOAD(f"the click is not accepted: {why}")
