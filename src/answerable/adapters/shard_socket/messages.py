"""Define the messages between shard processes, and convert them from and to domain objects.

One connection carries one action: an `Action` there; then any number of `Going` back, and one `Answered` or `Failed`.
Closing the connection before the answer cancels the action. Or it carries one question, a `Trace` or `Contain`, and one
`Traced`, `Contained` or `Failed` back.

Laws: a message with an unknown member is refused, since that member may be a restriction; the action is transferred
byte for byte, and accepted only if its bytes match its message; a message of another version is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import msgspec
from msgspec import Meta

from answerable.core.action.request import ActionRequest, action_request
from answerable.core.canonical import FrozenJSON, Limits, encode
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.proof.caller import ProofKind, VerifiedCaller
from answerable.core.identity.workload.evidence import CallerIdentity, Grade, Source
from answerable.core.ledger.containment import StopPart
from answerable.core.ledger.effects import Effects
from answerable.core.mandate.delegation_chain import CHAIN_CHARS_MAX
from answerable.core.mandate.revocation import NAME_CHARS_MAX, RevocationKind, RevocationTarget
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.errors.codes.ledger import SHARD_FAILED, SHARD_MESSAGE

if TYPE_CHECKING:
    from answerable.adapters.shard_socket.frames import LinkLimits
    from answerable.core.canonical import JSONValue

VERSION: Final = 3
"""1 lacked parts of the caller, and delegation; 2 lacked the measured fields of a manifest."""
PORT: Final = "shard_link"

Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Count = Annotated[int, Meta(ge=0)]


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller's identity, as core.identity.evidence.CallerIdentity."""

    instance: str
    source: Source
    grade: Grade
    manifest: str
    manifest_grade: Grade | Literal[""]
    manifest_fields: tuple[tuple[str, Grade], ...]
    drifted: bool
    measured: str
    key: str


class Caller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller, as core.identity.caller.VerifiedCaller."""

    agent: str
    proof: ProofKind
    binding: str
    sequence: Count
    message_digest: Digest
    at: Count
    identity: Identity
    key: str
    certificate: str
    process: str


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="action"):
    """A forwarded action. to: origin of the log that it is for. action: the frozen bytes. progress: whether
    notifications are wanted. delegation: the chain that the caller presented, root first, joined by `~`; empty for a
    mandate of the caller's own."""

    v: int
    to: str
    server: str
    method: str
    target: str
    action: bytes
    mandate_id: str
    reason: str
    message_digest: Digest
    caller: Caller
    progress: bool
    delegation: Annotated[str, Meta(max_length=CHAIN_CHARS_MAX)]


class Trace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="trace"):
    """Query what is in flight and was done under a name. to: origin of the queried log."""

    v: int
    to: str
    kind: RevocationKind
    name: Annotated[str, Meta(max_length=NAME_CHARS_MAX)]


class Contain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="contain"):
    """Query the result of a hold. to: origin of the queried log. hold: its id."""

    v: int
    to: str
    hold: Annotated[str, Meta(max_length=64)]


class Greet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="greet"):
    """Query whether a process answers for a log. to: its origin."""

    v: int
    to: str


class Greeted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="greeted"):
    """The answer to a `Greet`. log: the origin of the answering log."""

    log: str


class Contained(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="contained"):
    """The answer of one log to a `Contain`."""

    part: StopPart

    @property
    def log(self) -> str:
        """The origin of the answering log."""
        return self.part.log


class Traced(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="traced"):
    """The answer of one log to a `Trace`."""

    effects: Effects

    @property
    def log(self) -> str:
        """The origin of the answering log."""
        return self.effects.log


class Going(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="going"):
    """A progress notification, as in MCP."""

    done: float
    total: float | None
    text: str | None


class Failed(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag="failed"
):
    """An error. more: the reasons of a refusal; otherwise the step, or the port. entry: for a recorded refusal, its
    index in the log `to`. denial: the answer of the people who denied it, canonical JSON; absent if no person did."""

    kind: Literal["malformed", "unverified", "refused", "unavailable"]
    message: str
    code: str
    more: tuple[str, ...] = ()
    entry: int | None = None
    effect: Literal["none", "unknown"] = "none"
    denial: bytes = b""


_ENCODER: Final = msgspec.msgpack.Encoder()
_ASKED: Final[msgspec.msgpack.Decoder[Action | Trace | Contain | Greet]] = msgspec.msgpack.Decoder(
    Action | Trace | Contain | Greet
)


def action_bytes(to: str, request: ActionRequest, caller: VerifiedCaller, *, progress: bool) -> bytes:
    """Encode a forwarded action."""
    identity = caller.identity
    return _ENCODER.encode(
        Action(
            v=VERSION,
            to=to,
            server=request.server,
            method=request.method,
            target=request.target,
            action=request.action.bytes,
            mandate_id=request.mandate_id,
            reason=request.reason,
            message_digest=request.message_digest,
            caller=Caller(
                agent=caller.agent,
                proof=caller.proof,
                binding=caller.binding,
                sequence=caller.sequence,
                message_digest=caller.message_digest,
                at=caller.at,
                identity=Identity(
                    instance=identity.instance,
                    source=identity.source,
                    grade=identity.grade,
                    manifest=identity.manifest,
                    manifest_grade=identity.manifest_grade,
                    manifest_fields=identity.manifest_fields,
                    drifted=identity.drifted,
                    measured=identity.measured,
                    key=identity.key,
                ),
                key=caller.key,
                certificate=caller.certificate,
                process=caller.process,
            ),
            progress=progress,
            delegation=request.delegation,
        )
    )


def trace_bytes(to: str, what: RevocationTarget) -> bytes:
    """Encode the query for what is in flight and was done under a name."""
    return _ENCODER.encode(Trace(v=VERSION, to=to, kind=what.kind, name=what.name))


def contain_bytes(to: str, hold: str) -> bytes:
    """Encode the query for the result of a hold."""
    return _ENCODER.encode(Contain(v=VERSION, to=to, hold=hold))


def greet_bytes(to: str) -> bytes:
    """Encode the query whether a process answers."""
    return _ENCODER.encode(Greet(v=VERSION, to=to))


def greeted_bytes(log: str) -> bytes:
    """Encode the answer to a `Greet`."""
    return _ENCODER.encode(Greeted(log=log))


def contained_bytes(part: StopPart) -> bytes:
    """Encode the answer to a `Contain`."""
    return _ENCODER.encode(Contained(part=part))


def traced_bytes(effects: Effects) -> bytes:
    """Encode the answer to a `Trace`."""
    return _ENCODER.encode(Traced(effects=effects))


def asked_in(message: bytes) -> Action | Trace | Contain | Greet:
    """Decode an action or a question. Raises Malformed (`shard.message`) for any message that this version does not
    know."""
    try:
        found = _ASKED.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SHARD_MESSAGE(f"not a forwarded action: {str(error)[:200].lower()}") from None
    if found.v != VERSION:
        raise SHARD_MESSAGE(f"a forwarded action of version {found.v} is not supported")
    return found


def action_in(message: bytes) -> Action:
    """Decode an action; a question raises Malformed, too."""
    found = asked_in(message)
    if not isinstance(found, Action):
        raise SHARD_MESSAGE("not a forwarded action: a question")
    return found


def request_in(action: Action, limits: LinkLimits) -> ActionRequest:
    """Return the request, if its frozen bytes are canonical and match the message. Raises Malformed."""
    frozen = FrozenJSON.from_canonical(action.action, limits=Limits(size_bytes_max=limits.message_bytes_max))
    value = frozen.thaw()
    request = action_request(
        server=action.server,
        method=action.method,
        target=action.target,
        arguments=value.get("arguments") if isinstance(value, dict) else None,
        mandate_id=action.mandate_id,
        reason=action.reason,
        message_digest=action.message_digest,
        delegation=action.delegation,
    )
    if request.action != frozen:
        raise SHARD_MESSAGE("the frozen action is not the one in its message")
    return request


def caller_in(caller: Caller) -> VerifiedCaller:
    """Return the caller as verified by the forwarding process, which runs under this process's own account."""
    identity = caller.identity
    return VerifiedCaller(
        agent=AgentId(caller.agent),
        proof=caller.proof,
        binding=caller.binding,
        sequence=caller.sequence,
        message_digest=caller.message_digest,
        at=UnixMillis(caller.at),
        identity=CallerIdentity(
            instance=identity.instance,
            source=identity.source,
            grade=identity.grade,
            manifest=identity.manifest,
            manifest_grade=identity.manifest_grade,
            manifest_fields=identity.manifest_fields,
            drifted=identity.drifted,
            measured=identity.measured,
            key=identity.key,
        ),
        key=caller.key,
        certificate=caller.certificate,
        process=caller.process,
    )


def going_bytes(done: float, total: float | None, text: str | None) -> bytes:
    """Encode one progress notification."""
    return _ENCODER.encode(Going(done=done, total=total, text=text))


def failed_bytes(error: AnswerableError) -> bytes:
    """Encode an error. A broken invariant at this process is, for the forwarding one, an unknown effect."""
    message, code = error.message, error.code
    match error:
        case Malformed():
            failed = Failed(kind="malformed", message=message, code=code)
        case Unverified():
            failed = Failed(kind="unverified", message=message, code=code, more=(error.step,))
        case Refused():
            failed = Failed(
                kind="refused",
                message=message,
                code=code,
                more=error.reasons,
                entry=error.entry_index,
                denial=b"" if error.denial is None else encode(cast("JSONValue", {**error.denial})),
            )
        case Unavailable():
            failed = Failed(
                kind="unavailable", message=message, code=code, more=(error.port,), effect=error.effect
            )
        case _:
            failed = Failed(
                kind="unavailable",
                message="the process that this mandate belongs to found itself broken",
                code=SHARD_FAILED.id,
                more=(PORT,),
                effect="unknown",
            )
    return _ENCODER.encode(failed)


def error_in(failed: Failed, log: str) -> AnswerableError:
    """Return the error to raise in this process. log: the log with its entry."""
    first = failed.more[0] if failed.more else ""
    match failed.kind:
        case "malformed":
            return Malformed(failed.message, code=failed.code)
        case "unverified":
            return Unverified(failed.message, code=failed.code, step=first)
        case "refused":
            return Refused(
                failed.message,
                code=failed.code,
                reasons=failed.more,
                entry_index=failed.entry,
                log=log if failed.entry is not None else "",
                denial=_denial(failed.denial),
            )
        case "unavailable":
            return Unavailable(failed.message, code=failed.code, port=first, effect=failed.effect)


def _denial(encoded: bytes) -> dict[str, JSONValue] | None:
    """Decode the people's answer. Raises Malformed (`shard.message`, `json.*`)."""
    if not encoded:
        return None
    value = FrozenJSON.from_canonical(encoded, limits=Limits(size_bytes_max=len(encoded))).thaw()
    if not isinstance(value, dict):
        raise SHARD_MESSAGE("the answers of people must be an object")
    return value
