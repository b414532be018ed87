"""Agents in operation: their status, running instances, join tokens, and unregistered sightings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, cast

import anyio.to_thread

from answerable.apps.control_api.call import Operation, instant, page_of
from answerable.apps.control_api.schemas import (
    COUNT,
    FLAG,
    INSTANT,
    TEXT,
    TEXTS,
    choice,
    nullable,
    record,
    sequence,
)
from answerable.core.identity.names.principal import AgentId, UnixMillis, agent_id
from answerable.core.identity.names.spiffe_id import ID_BYTES_MAX, spiffe_id
from answerable.core.identity.workload.join_token import LIFETIME_SECONDS
from answerable.core.registry.manifests.manifest import MADE_OF_FIELDS
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
    from answerable.apps.control_api.call import Answer, Call
    from answerable.apps.control_api.schemas import Schema
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.workload.instance import Instance
    from answerable.flows.leases.list_outstanding_access import Outstanding
    from answerable.flows.registry.set_agent_status import Standing
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.sightings import Sightings

STANDINGS: Final[tuple[Standing, ...]] = ("active", "suspended", "retired")
NAME_CHARS_MAX: Final = 253
OPERATOR_ENDED: Final = "operator.ended"
"""The reason recorded in the ledger. It is not among the reasons after which the process may enrol again."""


class _Seen(Protocol):
    @property
    def sightings(self) -> Sightings: ...


class Identities(Protocol):
    """What these operations need of the product in addition to `Product`."""

    @property
    def workloads(self) -> Workloads: ...

    @property
    def identity(self) -> _Seen: ...


async def show_agent(call: Call) -> Answer:
    """Return one registered agent with the number of its running instances."""
    name = agent_id(call.path["name"])
    if f"Agent/{name}" not in call.walk.registry.documents():
        raise AGENT_UNKNOWN(f"agent {shown(name)} is not registered")
    workloads = _workloads(call)
    now = call.walk.clock.now()
    live = [one for one in workloads.instances.of_agent(name) if one.is_live(now)]
    found = call.walk.registry.current.agents.get(name)
    return {
        "name": name,
        "active": found is not None,
        "attestation": [list(one) for one in found.attestation] if found is not None else [],
        "drift_rule": found.drift if found is not None else "",
        "instances": len(live),
        "drifted": sum(1 for one in live if drift_now(workloads, one)),
        "holds": [
            {
                "id": one.id,
                "kind": one.what.kind,
                "name": one.what.name,
                "expires_at": instant(one.expires_at) if one.expires_at else None,
                "reason": one.reason,
            }
            for one in holds_of_agent(call.walk, name)
        ],
    }


async def set_standing(call: Call) -> Answer:
    """Suspend, resume or retire an agent; the answer lists what was ended and what could not be."""
    body = call.members("status")
    status = body.text("status", chars_max=16)
    if status not in STANDINGS:
        raise REQUEST_BODY(f"status {shown(status)} is none of {', '.join(STANDINGS)}")
    workloads = _workloads(call)
    change = await set_agent_status(workloads, agent_id(call.path["name"]), status, by=call.by)
    left = await outstanding_of_agent(workloads, change.agent) if status != "active" else None
    return {
        "agent": change.agent,
        "status": change.status,
        "changed": change.changed,
        "instances_ended": [str(one.id) for one in change.ended],
        "mandates_closed": list(change.closed),
        **_bounds(left if change.x509_until else None, x509=change.x509_until, jwt=change.jwt_until),
        **_left_over(left),
    }


async def list_instances(call: Call) -> Answer:
    """List running instances, newest first; with `agent`, those of one agent."""
    workloads = _workloads(call)
    now = call.walk.clock.now()
    wanted = call.query.get("agent")
    found = workloads.instances.live() if wanted is None else workloads.instances.of_agent(AgentId(wanted))
    live = sorted((one for one in found if one.is_live(now)), key=lambda one: (-one.enrolled_at, str(one.id)))
    return page_of(call, live, name=lambda one: str(one.id), render=partial(_instance, workloads))


async def end_one(call: Call) -> Answer:
    """End one instance and its sub-agents. A local process cannot enrol again while it runs."""
    body = call.members("instance")
    workloads = _workloads(call)
    instance = spiffe_id(body.text("instance", chars_max=ID_BYTES_MAX))
    now = call.walk.clock.now()
    ended = await end_instance(workloads, instance, because=OPERATOR_ENDED, by=call.by)
    limits = workloads.trust.limits
    left = await outstanding_of_instance(workloads, str(instance))
    return {
        "instance": str(instance),
        "instances_ended": [str(one.id) for one in ended],
        **_bounds(
            left if ended else None,
            x509=now + limits.x509_seconds * 1000,
            jwt=now + limits.jwt_seconds * 1000,
        ),
        **_left_over(left),
    }


async def make_join_token(call: Call) -> Answer:
    """Make a token that enrols one new workload of this agent, once; it is returned here and never again."""
    body = call.members("label", "seconds")
    name = agent_id(call.path["name"])
    if name not in call.walk.registry.current.agents:
        raise AGENT_INACTIVE(f"agent {shown(name)} is not active")
    label = body.text("label", chars_max=NAME_CHARS_MAX)
    seconds = _seconds(call)
    now = call.walk.clock.now()
    make = partial(_workloads(call).attestor.new_join_token, label, name, seconds=seconds)
    token = await anyio.to_thread.run_sync(make)
    return {"token": token, "agent": name, "label": label, "expires_at": instant(now + seconds * 1000)}


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


def _instance(workloads: Workloads, one: Instance) -> JSONValue:
    return {
        "id": str(one.id),
        "agent": one.agent,
        "source": one.evidence.source,
        "grade": one.evidence.grade,
        "selectors": list(one.evidence.selectors),
        "parent": one.parent,
        "process": one.process,
        "key": one.key.thumbprint if one.key is not None else "",
        "manifest": one.manifest,
        "manifest_grade": shown_now(workloads, one).grade,
        "made_of": [field._asdict() for field in known_now(workloads, one)],
        "drift": list(drift_now(workloads, one)),
        "enrolled_at": instant(one.enrolled_at),
        "expires_at": instant(one.expires_at),
    }


def _bounds(left: Outstanding | None, *, x509: int, jwt: int) -> dict[str, JSONValue]:
    """Return until when SVIDs of it may still be valid at third parties. x509, jwt: latest ends by the present
    lifetimes."""
    if left is None:
        return {"x509_svids_valid_until": None, "jwt_svids_valid_until": None}
    return {
        "x509_svids_valid_until": instant(UnixMillis(left.until("x509", at_least=x509))),
        "jwt_svids_valid_until": instant(UnixMillis(left.until("jwt", "wit", at_least=jwt))),
    }


def _left_over(left: Outstanding | None) -> dict[str, JSONValue]:
    """Return the SVIDs that third parties may still accept."""
    svids: list[JSONValue] = [
        {
            "instance": one.instance,
            "kind": one.kind,
            "serial": one.serial,
            "expires_at": instant(UnixMillis(one.expires_at)),
        }
        for one in (left.svids if left is not None else ())
    ]
    return {"svids_outstanding": svids, "svids_all": left is None or left.is_all}


_LEFT_OVER: Final[dict[str, Schema]] = {
    "svids_outstanding": {
        "type": "array",
        "items": record(
            {"instance": TEXT, "kind": choice("x509", "jwt", "wit"), "serial": TEXT, "expires_at": INSTANT}
        ),
    },
    "svids_all": FLAG,
}
"""SVIDs still valid at third parties, and whether the list is complete."""

COMPONENTS: Final[dict[str, Schema]] = {
    "AgentState": record(
        {
            "name": TEXT,
            "active": FLAG,
            "attestation": {"type": "array", "items": TEXTS},
            "drift_rule": TEXT,
            "instances": COUNT,
            "drifted": COUNT,
            "holds": sequence(
                record(
                    {"id": TEXT, "kind": TEXT, "name": TEXT, "expires_at": nullable(INSTANT), "reason": TEXT}
                )
            ),
        }
    ),
    "StandingRequest": record({"status": choice(*STANDINGS)}),
    "StandingChange": record(
        {
            "agent": TEXT,
            "status": choice(*STANDINGS),
            "changed": FLAG,
            "instances_ended": TEXTS,
            "mandates_closed": TEXTS,
            "x509_svids_valid_until": nullable(INSTANT),
            "jwt_svids_valid_until": nullable(INSTANT),
            **_LEFT_OVER,
        }
    ),
    "Instance": record(
        {
            "id": TEXT,
            "agent": TEXT,
            "source": TEXT,
            "grade": choice("kernel", "sidecar", "gateway", "claimed"),
            "selectors": TEXTS,
            "parent": TEXT,
            "process": TEXT,
            "key": TEXT,
            "manifest": TEXT,
            "manifest_grade": choice("", "kernel", "sidecar", "gateway", "claimed"),
            "made_of": sequence(
                record(
                    {
                        "field": choice(*MADE_OF_FIELDS),
                        "says": TEXT,
                        "grade": choice("kernel", "sidecar", "gateway", "claimed"),
                        "verdict": choice("match", "differs", "unmeasured"),
                    }
                )
            ),
            "drift": TEXTS,
            "enrolled_at": INSTANT,
            "expires_at": INSTANT,
        }
    ),
    "InstanceEndRequest": record({"instance": TEXT}),
    "InstanceEnd": record(
        {
            "instance": TEXT,
            "instances_ended": TEXTS,
            "x509_svids_valid_until": nullable(INSTANT),
            "jwt_svids_valid_until": nullable(INSTANT),
            **_LEFT_OVER,
        }
    ),
    "JoinTokenRequest": record({"label": TEXT, "seconds": COUNT}, optional=("seconds",)),
    "JoinToken": record({"token": TEXT, "agent": TEXT, "label": TEXT, "expires_at": INSTANT}),
}
"""In addition to those of `schemas`."""

_AGENT: Final = (("agent", TEXT, "only instances of this agent"),)

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="show_agent",
        method="GET",
        path="/v1/agents/{name}",
        summary="One agent: what it is known by, and how much of it runs",
        answer="AgentState",
        run=show_agent,
    ),
    Operation(
        id="set_agent_standing",
        method="POST",
        path="/v1/agents/{name}/standing",
        summary="Suspend, resume or retire an agent; ends its instances, and for a retired one closes its mandates",
        body="StandingRequest",
        answer="StandingChange",
        run=set_standing,
    ),
    Operation(
        id="make_join_token",
        method="POST",
        path="/v1/agents/{name}/join-tokens",
        summary="A token that enrols one new workload of this agent, once",
        body="JoinTokenRequest",
        answer="JoinToken",
        run=make_join_token,
    ),
    Operation(
        id="list_instances",
        method="GET",
        path="/v1/instances",
        summary="Running instances, newest first",
        answer="Instance",
        page=True,
        query=_AGENT,
        run=list_instances,
    ),
    Operation(
        id="end_instance",
        method="POST",
        path="/v1/instances/end",
        summary="End one instance and its sub-agents; its process is not let in again as it runs",
        body="InstanceEndRequest",
        answer="InstanceEnd",
        run=end_one,
    ),
)
