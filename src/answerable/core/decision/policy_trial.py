"""Turn a policy test case into an input of the decision point, with every default taken from the registry.

Laws: each fact has the shape that the gather step gives it; everything a case names must be registered and active.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from answerable.core.action.trial import trial_request
from answerable.core.decision.decision import RULE_PREFIXES
from answerable.core.decision.facts import ApprovalFact, Facts
from answerable.core.decision.policy_case import DEFAULT_AT
from answerable.core.decision.time_windows import windows_at
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.mandate.mandate import Grant, Mandate, MandateId
from answerable.core.registry.documents.look_alike import meant
from answerable.errors import Malformed, shown
from answerable.errors.codes.policy import CASE_TIER, CASE_UNKNOWN, CASE_WINDOWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.policy_case import Given, GivenIdentity, PolicyCase
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.documents.policy_parts import TimeWindow
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

BEFORE_MS: Final = 3_600_000
"""How long before the time of a case its mandate begins, and after it ends, where the case does not say."""
_DAYS_LOOKED_AT: Final = 8


def trial_of(given: Given, registry: RegistrySnapshot) -> tuple[VerifiedRequest, Facts]:
    """Return the decision input of a case. Raises Malformed where the case cannot be built (`case.*`,
    `resource.unknown`, `destination.*`, `arguments.*`, `mandate.malformed`)."""
    agent, capability = _known(given, registry)
    at = moment_of(given, registry.parts.windows)
    mandate = _mandate(given, agent, registry, at)
    verified = trial_request(
        capability,
        dict(given.arguments),
        mandate=mandate,
        chain=given.chain,
        agent=agent.name,
        identity=_identity(given.identity),
        proof=given.proof,
        resource=given.resource,
        at=at,
    )
    left = max(0, given.task.calls_max - given.task.calls_used)
    facts = Facts(
        at=at,
        registry_digest=registry.digest,
        mandate_state=given.task.state,
        mandate_calls_used=given.task.calls_used,
        approval=_approval(given),
        budget={
            "calls_left": left,
            "left_percent": left * 100 // given.task.calls_max,
            **dict(given.budget),
        },
        history={**{tracker.name: 0 for tracker in registry.parts.trackers}, **dict(given.history)},
    )
    return verified, facts


def moment_of(given: Given, windows: tuple[TimeWindow, ...]) -> UnixMillis:
    """Return the time of a case: as stated, or the first time at which the named windows are as stated.

    Raises Malformed (`case.windows`) when they never are.
    """
    at = DEFAULT_AT if given.at is None else given.at
    wanted = dict(given.windows)
    candidates = (at,) if given.at is not None else _moments(at, windows)
    for moment in candidates:
        now = windows_at(windows, moment)
        if all(now.get(name) is value for name, value in wanted.items()):
            return moment
    listed = ", ".join(f"{name}: {str(value).lower()}" for name, value in wanted.items())
    when = "at the moment that the case names" if given.at is not None else "at any one moment"
    raise CASE_WINDOWS(f"the named time windows do not hold {when}: {listed}")


def case_faults(
    case: PolicyCase, registry: RegistrySnapshot, policies: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield what a case names that does not exist: path below the case, code, message."""
    given = case.given
    for path, what, name, known in (
        ("/given/agent", "active agent", given.agent, [str(one) for one in registry.agents]),
        ("/given/capability", "active capability", given.capability, list(registry.capabilities)),
        *(
            (f"/given/chain/{i}", "agent", one, [str(a) for a in registry.agents])
            for i, one in enumerate(given.chain)
        ),
        *(
            (f"/given/history/{name}", "tracker", name, [one.name for one in registry.parts.trackers])
            for name, _ in given.history
        ),
        *(
            (f"/given/windows/{name}", "window", name, [one.name for one in registry.parts.windows])
            for name, _ in given.windows
        ),
        *(
            (f"/by/{i}", "policy", one, list(policies))
            for i, one in enumerate(case.by or ())
            if not one.startswith(RULE_PREFIXES)
        ),
    ):
        if name and name not in known:
            yield path, "case.unknown", f"there is no {what} {shown(name)}{_hint(name, known)}"
    known_windows = {one.name for one in registry.parts.windows}
    if known_windows.issuperset(name for name, _ in given.windows):
        try:
            moment_of(given, registry.parts.windows)
        except Malformed as error:
            yield "/given/windows", error.code, error.message
    capability = registry.capabilities.get(given.capability)
    if capability is not None:
        if given.tier is not None:
            try:
                _check_tier(given.tier, capability)
            except Malformed as error:
                yield "/given/tier", error.code, error.message
        names = [mapping.name for mapping in capability.arguments]
        for name in given.arguments:
            # Undeclared arguments are permitted, and no policy sees them; a near match of a declared name is probably a
            # typo.
            if name not in names and (hint := _hint(name, names)) and name != capability.resource.argument:
                message = f"capability {shown(capability.name)} declares no argument {shown(name)}{hint}"
                yield f"/given/arguments/{name}", "case.unknown", message


def _hint(name: str, known: Iterable[str]) -> str:
    found = meant(name, known)
    return f"; did you mean {shown(found[1])}?" if found else ""


def _known(given: Given, registry: RegistrySnapshot) -> tuple[Agent, Capability]:
    agent = registry.agents.get(AgentId(given.agent))
    capability = registry.capabilities.get(given.capability)
    if agent is None or capability is None:
        raise CASE_UNKNOWN(
            f"there is no active agent {shown(given.agent)} or capability {shown(given.capability)}"
        )
    if given.tier is not None:
        _check_tier(given.tier, capability)
        capability = replace(capability, tier=given.tier)
    return agent, capability


def _check_tier(tier: int, capability: Capability) -> None:
    """Check a given tier. Raises Malformed (`case.tier`)."""
    if tier < capability.tier:
        raise CASE_TIER(
            f"capability {shown(capability.name)} has tier {capability.tier}: leave `tier` out, or "
            "give a higher one, as the hints of its tool can only raise it"
        )


def _mandate(given: Given, agent: Agent, registry: RegistrySnapshot, at: UnixMillis) -> Mandate:
    task = given.task
    use_case = task.use_case or agent.use_case
    known = registry.use_cases.get(use_case)
    owner = known.ownership.owner if known is not None else ""
    return Mandate(
        id=MandateId(task.mandate),
        principal=PrincipalId(task.principal or owner or "nobody"),
        agent=AgentId(given.chain[0] if given.chain else agent.name),
        use_case=use_case,
        purpose=task.purpose,
        grants=(Grant(capability=given.capability),),
        caveats=(),
        calls_max=task.calls_max,
        not_before=UnixMillis(at - BEFORE_MS) if task.started_at is None else task.started_at,
        expires_at=UnixMillis(at + BEFORE_MS) if task.expires_at is None else task.expires_at,
        token="",
    )


def _identity(given: GivenIdentity) -> CallerIdentity:
    kernel: tuple[tuple[str, Grade], ...] = tuple((name, "kernel") for name in given.kernel)
    measured: tuple[tuple[str, Grade], ...] = tuple(
        (name, "sidecar") for name in given.measured if name not in given.kernel
    )
    return CallerIdentity(
        instance=given.instance,
        source=given.source,
        grade=given.grade,
        manifest=given.manifest,
        manifest_grade=given.manifest_grade,
        manifest_fields=(*kernel, *measured),
        drifted=given.drifted,
    )


def _approval(given: Given) -> ApprovalFact | None:
    if not given.approval:
        return None
    people = tuple(
        (group, PrincipalId(f"{group}-{number}"))
        for group, count in given.approval
        for number in range(count)
    )
    return ApprovalFact(id="a-test", answered_by=people)


def _moments(at: UnixMillis, windows: tuple[TimeWindow, ...]) -> Iterator[UnixMillis]:
    """Yield times around the beginnings and ends of windows, so that every possible combination of open windows
    occurs: first this one, then later ones, then earlier ones, the nearest first."""
    days = {at} | {edge for window in windows for edge in (window.begins, window.ends) if edge}
    minutes = {0} | {minute for window in windows for minute in (window.starts_at, window.stops_at)}
    found: set[int] = set()
    for edge in days:
        found |= {edge, edge - 1}
        midnight = datetime.fromtimestamp(edge / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for day in range(-_DAYS_LOOKED_AT, _DAYS_LOOKED_AT):
            for minute in minutes:
                moment = midnight + timedelta(days=day, minutes=minute)
                found.add(round(moment.timestamp() * 1000))
    known = (moment for moment in found if moment >= 0)
    yield from map(UnixMillis, sorted(known, key=lambda moment: (moment < at, abs(moment - at))))
