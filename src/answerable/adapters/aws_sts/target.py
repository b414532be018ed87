"""Offer the tool `request` on AWS: call one operation of one service with the role session of a lease."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore import xform_name
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ParamValidationError,
    ReadTimeoutError,
)

from answerable.adapters.aws_sts.clients import Keys, effect_of, unavailable
from answerable.adapters.aws_sts.values import answer_of, parameters_of
from answerable.core.canonical import encode, parse
from answerable.core.lease.credential import HIDDEN, Performed
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS, TARGET_TIMEOUT, TARGET_UNREACHABLE
from answerable.ports.brokered_target import PORT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.adapters.aws_sts.clients import AwsClients
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.ports.upstream import Progress

TOOL: Final = "request"
PARAMETERS_BYTES_MAX: Final = 1_048_576

_TAG: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9-]{1,40}")
_OPERATION: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,80}")
_ARGUMENTS: Final = frozenset({"service", "operation", "parameters"})
_ALSO: Final = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:UploadPart": "s3:PutObject",
}
"""Operations whose IAM action has another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsTarget:
    """Implements ports.brokered_target.BrokeredTarget. bytes_max: size limit of an answer."""

    clients: AwsClients
    bytes_max: int = 262_144

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Return the definition of the only tool, `request`."""
        return (_TOOL_DEFINITION,)

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[AwsSession]:
        """Yield a session with the lease's keys. Its clients connect with the first request and are closed at the end
        of the block."""
        secret = credential.secret
        keys = Keys(
            access_key=secret.reveal("access_key"),
            secret_key=secret.reveal("secret_key"),
            session_token=secret.reveal("session_token"),
        )
        actions = parse(secret.reveal("actions").encode())
        session = AwsSession(
            target=self,
            keys=keys,
            actions=frozenset(map(str, actions if isinstance(actions, list) else ())),
        )
        try:
            yield session
        finally:
            session.close()


@dataclass(slots=True, kw_only=True)
class AwsSession:
    """Implements ports.brokered_target.TargetSession. actions: the IAM actions that the lease's scope allows."""

    target: AwsTarget
    keys: Keys = field(repr=False)
    actions: frozenset[str]
    _open: dict[tuple[str, float], Any] = field(default_factory=dict)
    _tag: str = ""

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Call one AWS operation. A cancellation waits until the request ends, at the latest by its time limit: a
        request that was sent to AWS cannot be withdrawn."""
        service, operation, parameters = self._checked(tool, arguments)
        self._tag = tag if _TAG.fullmatch(tag) else ""
        call = partial(self._asked, service, operation, parameters, seconds_max)
        try:
            answer = await self.target.clients.called(call)
        except ParamValidationError as error:
            raise TARGET_ARGUMENTS(
                f"the parameters of {operation} are not valid: {shown(str(error).replace(chr(10), ' '), 400)}"
            ) from None
        except ClientError as error:
            # A refusal by AWS is a result. After a server error the operation may have taken effect.
            if effect_of(error) == "unknown":
                raise unavailable(error, code=TARGET_UNREACHABLE, port=PORT) from None
            return self._refused(error)
        except ReadTimeoutError:
            raise TARGET_TIMEOUT(f"AWS: no answer within {seconds_max:g} seconds", effect="unknown") from None
        except BotoCoreError as error:
            raise unavailable(error, code=TARGET_UNREACHABLE, port=PORT) from None
        return self._performed(answer, f"{service} {operation}")

    def close(self) -> None:
        """Close all clients."""
        for client in self._open.values():
            client.close()
        self._open.clear()

    def _checked(
        self, tool: str, arguments: Mapping[str, JSONValue]
    ) -> tuple[str, str, dict[str, JSONValue]]:
        if tool != TOOL:
            raise TARGET_ARGUMENTS(f"there is no tool {shown(tool)} of AWS: use `{TOOL}`")
        if unknown := sorted(arguments.keys() - _ARGUMENTS):
            raise TARGET_ARGUMENTS(f"unknown argument {shown(unknown[0])} of tool `{TOOL}`")
        service, operation = arguments.get("service"), arguments.get("operation")
        parameters = arguments.get("parameters", {})
        if not isinstance(service, str) or not _SERVICE.fullmatch(service):
            raise TARGET_ARGUMENTS("`service` must be the name of a service, such as `s3`")
        if not isinstance(operation, str) or not _OPERATION.fullmatch(operation):
            raise TARGET_ARGUMENTS("`operation` must be the name of an operation, such as `GetObject`")
        if not isinstance(parameters, dict) or len(encode(parameters)) > PARAMETERS_BYTES_MAX:
            raise TARGET_ARGUMENTS(f"`parameters` must be an object of at most {PARAMETERS_BYTES_MAX} bytes")
        action = f"{service}:{operation}"
        if action not in self.actions and _ALSO.get(action) not in self.actions:
            raise TARGET_ARGUMENTS(
                f"the lease of this action does not allow {shown(action)}; it allows: "
                f"{', '.join(sorted(self.actions))[:600]}"
            )
        return service, operation, parameters

    def _asked(
        self, service: str, operation: str, parameters: dict[str, JSONValue], seconds_max: float
    ) -> Any:
        """Call the operation. Runs in a worker thread."""
        model = self.target.clients.operation(service, operation)
        if model is None:
            raise TARGET_ARGUMENTS(f"service {shown(service)} has no operation {shown(operation)}")
        if model.has_event_stream_output or model.has_event_stream_input:
            raise TARGET_ARGUMENTS(
                f"operation {shown(operation)} answers with an event stream, which is not supported"
            )
        known = model.input_shape.members if model.input_shape else {}
        if unknown := sorted(parameters.keys() - known.keys()):
            raise TARGET_ARGUMENTS(f"unknown parameter {shown(unknown[0])} of operation {operation}")
        given = parameters_of(model.input_shape, parameters) if known else {}
        key = (service, seconds_max)
        if key not in self._open:
            client = self.target.clients.made(service, self.keys, answer_seconds_max=seconds_max)
            client.meta.events.register("before-call", self._tagged)
            self._open[key] = client
        answer = getattr(self._open[key], xform_name(operation))(**given)
        return {
            "answer": answer_of(answer, self.target.bytes_max),
            "id": answer.get("ResponseMetadata", {}).get("RequestId", ""),
        }

    def _tagged(self, params: dict[str, Any], **_: object) -> None:
        if self._tag:
            headers = params["headers"]
            headers["User-Agent"] = f"{headers.get('User-Agent', '')} answerable/{self._tag}".strip()

    def _performed(self, answer: Mapping[str, Any], what: str) -> Performed:
        text = self._without(encode(answer["answer"]).decode())
        is_cut = len(text) > 2 * self.target.bytes_max
        told: dict[str, object] = {"cut": is_cut}
        if is_cut:
            told["text"] = text[: self.target.bytes_max]
        else:
            told["answer"] = parse(text.encode())
        short = f"{what}: {len(text)} bytes{', cut' if is_cut else ''}"
        result = {
            "content": [{"type": "text", "text": short}],
            "structuredContent": told,
            "isError": False,
        }
        return Performed(result=result, session=self._named(str(answer["id"])))

    def _refused(self, error: ClientError) -> Performed:
        told = error.response.get("Error", {})
        code = self._without(str(told.get("Code", "")))[:100]
        message = self._without(str(told.get("Message", "")))[:1000]
        result = {
            "content": [{"type": "text", "text": f"AWS refused: {code}: {message}"}],
            "structuredContent": {"cut": False, "error": code, "message": message},
            "isError": True,
        }
        return Performed(
            result=result,
            session=self._named(error.response.get("ResponseMetadata", {}).get("RequestId", "")),
        )

    def _named(self, request: str) -> tuple[tuple[str, str], ...]:
        """Return the access key and request id, by which CloudTrail identifies the event."""
        named = (("aws_access_key", self.keys.access_key), ("aws_request_id", request[:200]))
        return tuple((name, value) for name, value in named if value)

    def _without(self, text: str) -> str:
        return text.replace(self.keys.secret_key, HIDDEN).replace(self.keys.session_token, HIDDEN)


_TOOL_DEFINITION: Final[dict[str, JSONValue]] = {
    "name": TOOL,
    "title": "Ask AWS",
    "description": "Call one operation of one service of AWS, with a session that may do what this action was let and "
    "nothing else. Example: service s3, operation GetObject, parameters {Bucket, Key}. Where the API has bytes, give a "
    "text, or {base64: …}. Answers are cut at a limit, which `cut` says.",
    "inputSchema": {
        "type": "object",
        "properties": {
            "service": {
                "type": "string",
                "pattern": "^[a-z][a-z0-9-]{1,40}$",
                "description": "as the AWS command line names it, such as s3 or dynamodb",
            },
            "operation": {
                "type": "string",
                "pattern": "^[A-Z][A-Za-z0-9]{1,80}$",
                "description": "as the API names it, such as GetObject",
            },
            # Explicit, because the gateway closes every object schema that does not declare itself open.
            "parameters": {
                "type": "object",
                "additionalProperties": True,
                "description": "as the API names them",
            },
        },
        "required": ["service", "operation"],
        "additionalProperties": False,
    },
    "annotations": {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": False,
        "openWorldHint": True,
    },
}
