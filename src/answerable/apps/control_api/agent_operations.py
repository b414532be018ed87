"""Agents in operation: their status, running instances, join tokens, and unregistered sightings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

import anyio.to_thread

from answerable.api import agent_answers as answers
from answerable.api.members import Page
from answerable.apps.control_api.call import instant, page_of
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.schemas import TEXT
from answerable.core.identity.names.principal import AgentId, UnixMillis, agent_id
from answerable.core.identity.names.spiffe_id import ID_BYTES_MAX, spiffe_id
from answerable.core.identity.workload.join_token import LIFETIME_SECONDS
from answerable.errors import shown
from answerable.errors.codes.identity import IDENTITY_OFF
from answerable.errors.codes.registry import AGENT_INACTIVE, AGENT_UNKNOWN
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.leases.list_outstanding_access import outstanding_of_agent, outstanding_of_instance
from answerable.flows.registry.set_agent_status import set_agent_status
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.walk.agent_standing import holds_of_agent
from answerable.flows.workloads.compare_manifest import drift_now, known_now, shown_now

if TYPE_CHECKING:
    from answerable.apps.control_api.call import Call
    from answerable.core.identity.workload.instance import Instance
    from answerable.flows.leases.list_outstanding_access import Outstanding
    from answerable.flows.registry.set_agent_status import Standing
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.sightings import Sightings

STANDINGS: Final[tuple[Standing, ...]] = ("active", "suspended", "retired")
NAME_CHARS_MAX: Final = 253
OPERATOR_ENDED: Final = "operator.ended"
"""The reason recorded in the ledger. It is not among the reasons after which the process may enrol again."""
_AGENT: Final = (("agent", TEXT, "only instances of this agent"),)


class _Seen(Protocol):
    @property
    def sightings(self) -> Sightings: ...


class Identities(Protocol):
    """What these operations need of the product in addition to `Product`."""

    @property
    def workloads(self) -> Workloads: ...

    @property
    def identity(self) -> _Seen: ...


@operation(
    "GET",
    "/v1/agents/{name}",
    id="show_agent",
    summary="One agent: what it is known by, and how much of it runs",
    answer=answers.AgentState,
)
async def show_agent(call: Call) -> answers.AgentState:
    """Return one registered agent with the number of its running instances."""
    name = agent_id(call.path["name"])
    if f"Agent/{name}" not in call.walk.authority.registry.documents():
        raise AGENT_UNKNOWN(f"agent {shown(name)} is not registered")
    workloads = _workloads(call)
    now = call.walk.clock.now()
    live = [one for one in workloads.instances.of_agent(name) if one.is_live(now)]
    found = call.walk.authority.registry.current.agents.get(name)
    return answers.AgentState(
        name=name,
        active=found is not None,
        attestation=tuple(tuple(one) for one in found.attestation) if found is not None else (),
        drift_rule=found.drift if found is not None else "",
        instances=len(live),
        drifted=sum(1 for one in live if drift_now(workloads, one)),
        holds=tuple(
            answers.HoldOfAgent(
                id=one.id,
                kind=one.what.kind,
                name=one.what.name,
                expires_at=instant(one.expires_at) if one.expires_at else None,
                reason=one.reason,
            )
            for one in holds_of_agent(call.walk.authority, name)
        ),
    )


@operation(
    "POST",
    "/v1/agents/{name}/standing",
    id="set_agent_standing",
    summary="Suspend, resume or retire an agent; ends its instances, and for a retired one closes its mandates",
    answer=answers.StandingChange,
    body=answers.StandingRequest,
)
async def set_standing(call: Call) -> answers.StandingChange:
    """Suspend, resume or retire an agent; the answer lists what was ended and what could not be."""
    body = call.members("status")
    status = body.text("status", chars_max=16)
    if status not in STANDINGS:
        raise REQUEST_BODY(f"status {shown(status)} is none of {', '.join(STANDINGS)}")
    workloads = _workloads(call)
    change = await set_agent_status(workloads, agent_id(call.path["name"]), status, by=call.by)
    left = await outstanding_of_agent(workloads, change.agent) if status != "active" else None
    x509, jwt = _bounds(left if change.x509_until else None, x509=change.x509_until, jwt=change.jwt_until)
    return answers.StandingChange(
        agent=change.agent,
        status=change.status,
        changed=change.changed,
        instances_ended=tuple(str(one.id) for one in change.ended),
        mandates_closed=tuple(change.closed),
        x509_svids_valid_until=x509,
        jwt_svids_valid_until=jwt,
        svids_outstanding=_outstanding(left),
        svids_all=left is None or left.is_all,
    )


@operation(
    "GET",
    "/v1/instances",
    id="list_instances",
    summary="Running instances, newest first",
    answer=Page[answers.Instance],
    query=_AGENT,
)
async def list_instances(call: Call) -> Page[answers.Instance]:
    """List running instances, newest first; with `agent`, those of one agent."""
    workloads = _workloads(call)
    now = call.walk.clock.now()
    wanted = call.query.get("agent")
    found = workloads.instances.live() if wanted is None else workloads.instances.of_agent(AgentId(wanted))
    live = sorted((one for one in found if one.is_live(now)), key=lambda one: (-one.enrolled_at, str(one.id)))
    return page_of(call, live, name=lambda one: str(one.id), render=partial(_instance, workloads))


@operation(
    "POST",
    "/v1/instances/end",
    id="end_instance",
    summary="End one instance and its sub-agents; its process is not let in again as it runs",
    answer=answers.InstanceEnd,
    body=answers.InstanceEndRequest,
)
async def end_one(call: Call) -> answers.InstanceEnd:
    """End one instance and its sub-agents. A local process cannot enrol again while it runs."""
    body = call.members("instance")
    workloads = _workloads(call)
    instance = spiffe_id(body.text("instance", chars_max=ID_BYTES_MAX))
    now = call.walk.clock.now()
    ended = await end_instance(workloads, instance, because=OPERATOR_ENDED, by=call.by)
    limits = workloads.trust.limits
    left = await outstanding_of_instance(workloads, str(instance))
    x509, jwt = _bounds(
        left if ended else None,
        x509=now + limits.x509_seconds * 1000,
        jwt=now + limits.jwt_seconds * 1000,
    )
    return answers.InstanceEnd(
        instance=str(instance),
        instances_ended=tuple(str(one.id) for one in ended),
        x509_svids_valid_until=x509,
        jwt_svids_valid_until=jwt,
        svids_outstanding=_outstanding(left),
        svids_all=left.is_all,
    )


@operation(
    "POST",
    "/v1/agents/{name}/join-tokens",
    id="make_join_token",
    summary="A token that enrols one new workload of this agent, once",
    answer=answers.JoinToken,
    body=answers.JoinTokenRequest,
)
async def make_join_token(call: Call) -> answers.JoinToken:
    """Make a token that enrols one new workload of this agent, once; it is returned here and never again."""
    body = call.members("label", "seconds")
    name = agent_id(call.path["name"])
    if name not in call.walk.authority.registry.current.agents:
        raise AGENT_INACTIVE(f"agent {shown(name)} is not active")
    label = body.text("label", chars_max=NAME_CHARS_MAX)
    seconds = _seconds(call)
    now = call.walk.clock.now()
    make = partial(_workloads(call).attestor.new_join_token, label, name, seconds=seconds)
    token = await anyio.to_thread.run_sync(make)
    return answers.JoinToken(token=token, agent=name, label=label, expires_at=instant(now + seconds * 1000))


def _seconds(call: Call) -> int:
    value = call.body.get("seconds", LIFETIME_SECONDS) if isinstance(call.body, dict) else None
    if type(value) is not int:
        raise REQUEST_BODY("/seconds: expected a whole number")
    return value


def identities(call: Call) -> Identities:
    """Return the product's identities. Raises Unavailable (`identity.off`) if the product has no trust domain."""
    product = cast("Identities", call.product)
    if getattr(call.product, "workloads", None) is None:
        raise IDENTITY_OFF()
    return product


def _workloads(call: Call) -> Workloads:
    return identities(call).workloads


def _instance(workloads: Workloads, one: Instance) -> answers.Instance:
    return answers.Instance(
        id=str(one.id),
        agent=one.agent,
        source=one.evidence.source,
        grade=one.evidence.grade,
        selectors=tuple(one.evidence.selectors),
        parent=one.parent,
        process=one.process,
        key=one.key.thumbprint if one.key is not None else "",
        manifest=one.manifest,
        manifest_grade=shown_now(workloads, one).grade,
        made_of=tuple(
            answers.KnownField(field=known.field, says=known.says, grade=known.grade, verdict=known.verdict)
            for known in known_now(workloads, one)
        ),
        drift=tuple(drift_now(workloads, one)),
        enrolled_at=instant(one.enrolled_at),
        expires_at=instant(one.expires_at),
    )


def _bounds(left: Outstanding | None, *, x509: int, jwt: int) -> tuple[str | None, str | None]:
    """Return until when SVIDs of it may still be valid at third parties: X.509-SVIDs, then JWT-SVIDs. x509, jwt: latest
    ends by the present lifetimes."""
    if left is None:
        return None, None
    return (
        instant(UnixMillis(left.until("x509", at_least=x509))),
        instant(UnixMillis(left.until("jwt", "wit", at_least=jwt))),
    )


def _outstanding(left: Outstanding | None) -> tuple[answers.OutstandingSvid, ...]:
    """Return the SVIDs that third parties may still accept."""
    return tuple(
        answers.OutstandingSvid(
            instance=one.instance,
            kind=one.kind,
            serial=one.serial,
            expires_at=instant(UnixMillis(one.expires_at)),
        )
        for one in (left.svids if left is not None else ())
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    show_agent,
    set_standing,
    make_join_token,
    list_instances,
    end_one,
)
