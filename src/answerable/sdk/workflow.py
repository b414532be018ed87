"""Answer approvals from a workflow: list what is pending for it, and sign approve or deny.

    async with WorkflowDoor("unix:/var/lib/answerable/gateway.sock", name="change-check", key=key) as door:
        for waiting in await door.waiting():
            await door.answer(waiting, "approve", comment="change CHG-1042")

The process authenticates by its connection: by its user and program on the gateway's Unix socket, or by a client
certificate over TLS. The key stays in this process; only signed answers are sent. Received approvals are checked before
anything is signed: the card must be the one that the template renders from the object.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx2

from answerable.connection_fault import connection_fault
from answerable.core.approval.action_object import object_in
from answerable.core.approval.card import is_card_of
from answerable.core.approval.token import ANSWER, bound_claims
from answerable.core.base64url import from_base64url_32
from answerable.core.canonical import FrozenJSON
from answerable.core.identity.names.principal import UnixMillis, workflow_id
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.errors.codes.people import WORKFLOW_ANSWER, WORKFLOW_DIGEST, WORKFLOW_UNREACHABLE
from answerable.sdk.gateway_address import open_client
from answerable.sdk.system_access import SYSTEM_WORLD, SystemAccess

if TYPE_CHECKING:
    import ssl

    from answerable.core.approval.token import Verdict
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import SigningKey

PREFIX: Final = "/workflow/v1/"
SECONDS_MAX: Final = 30.0
_BRANCHES: Final[dict[str, type[AnswerableError]]] = {
    "malformed": Malformed,
    "refused": Refused,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One action that is pending for this workflow. shown: the action object in its envelope. card: as people see
    it."""

    id: str
    shown: FrozenJSON
    card: FrozenJSON

    @property
    def action(self) -> dict[str, JSONValue]:
        """The object: `arguments`, `capability`, `agent`, `purpose` and the rest, exactly as it will be executed."""
        return object_in(self.shown)

    @property
    def sentence(self) -> str:
        """What the action does, in one line, for a log."""
        return str(json.loads(self.card.bytes)["sentence"])


class WorkflowDoor:
    """A client of one gateway. Every method raises AnswerableError: as the server raised it, and Unavailable
    (`workflow.unreachable`, `workflow.answer`)."""

    def __init__(
        self,
        gateway: str,
        *,
        name: str,
        key: SigningKey,
        tls: ssl.SSLContext | None = None,
        world: SystemAccess = SYSTEM_WORLD,
    ) -> None:
        """gateway: `unix:PATH` or `https://HOST:PORT`. name: of the workflow as registered. tls: from `client_tls`,
        with the workflow's certificate. Raises Malformed (`shim.gateway`, `name.invalid`)."""
        self._client, self._base = open_client(gateway, tls=tls)
        self._name = workflow_id(name)
        self._key = key
        self._world = world
        self._audience = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def waiting(self) -> list[Waiting]:
        """Return the actions that are pending for this workflow now, oldest first, at most 100.

        Raises Unverified (`workflow.digest`) if an object and its card do not match, Refused (`workflow.*`).
        """
        value = await self._asked("GET", "approvals", None)
        self._audience = str(value.get("audience"))
        items = value.get("items")
        return [_checked(one) for one in items] if isinstance(items, list) else []

    async def answer(self, waiting: Waiting, verdict: Verdict, *, comment: str = "") -> str:
        """Sign an answer to exactly this action, and send it; return the approval's state afterwards.

        Raises as `answer_approval` on the server's side: Refused (`approval.*`, `workflow.*`), Unverified.
        """
        place = f"approvals/{quote(waiting.id, safe='')}"
        opened = await self._asked("POST", f"{place}/nonce", {})
        nonce = from_base64url_32(str(opened.get("nonce")))
        if nonce is None:
            raise WORKFLOW_ANSWER()
        claims = bound_claims(
            waiting.id,
            action=waiting.shown.hex,
            rendering=waiting.card.hex,
            nonce=nonce,
            by=self._name,
            verdict=verdict,
            comment=comment,
            audience=self._audience,
            at=UnixMillis(int(self._world.unix_seconds() * 1000)),
        )
        token = ANSWER.sign(claims, self._key)
        return str((await self._asked("POST", f"{place}/answer", {"token": token})).get("state"))

    async def _asked(self, method: str, path: str, body: dict[str, JSONValue] | None) -> dict[str, Any]:
        try:
            answer = await self._client.request(
                method, self._base + PREFIX + path, json=body, timeout=SECONDS_MAX
            )
            value = answer.json()
        except httpx2.HTTPError as error:
            raise WORKFLOW_UNREACHABLE(f"the gateway does not answer: {connection_fault(error)}") from None
        except ValueError:
            raise WORKFLOW_ANSWER() from None
        if not isinstance(value, dict):
            raise WORKFLOW_ANSWER()
        if answer.status_code != 200:
            raise _error_in(value)
        return value


def _checked(item: Any) -> Waiting:
    try:
        found = Waiting(
            id=str(item["id"]),
            shown=FrozenJSON.from_canonical(str(item["object"]).encode()),
            card=FrozenJSON.from_canonical(str(item["card"]).encode()),
        )
    except (KeyError, TypeError):
        raise WORKFLOW_ANSWER() from None
    if found.action.get("txn") != found.id or not is_card_of(found.card, found.shown):
        raise WORKFLOW_DIGEST()
    return found


def _error_in(value: dict[str, Any]) -> AnswerableError:
    message, code, branch = (str(value.get(name, "")) for name in ("detail", "code", "branch"))
    if not code:
        return WORKFLOW_ANSWER()
    if branch == "unverified":
        return Unverified(message, code=code, step=str(value.get("step", "answer")))
    kind = _BRANCHES.get(branch)
    return kind(message, code=code) if kind else Unavailable(message, code=code, port="workflow_door")
