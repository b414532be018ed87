"""Fill in a mandate template: combine it with a person's parameter values into the terms of a mandate.

Laws: a value must match its parameter's whole pattern; replacement is one pass, so a value cannot introduce a
placeholder; filling in cannot widen the template's grants.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.mandate.bounded_match import matches_whole
from answerable.core.mandate.caveat import (
    ArgumentAtMost,
    ArgumentEquals,
    DestinationIn,
    EnvironmentIs,
    KindIn,
    ResourceIn,
    SensitivityAtMost,
    SystemIn,
)
from answerable.core.mandate.delegability import NOT_DELEGABLE, Delegability
from answerable.core.mandate.mandate import Grant, MandateId, MandateTerms
from answerable.core.registry.documents.budget_name import is_amount
from answerable.core.registry.documents.destination import checked_allowed
from answerable.core.registry.documents.fields import nearest
from answerable.core.registry.documents.placeholders import placeholders_in, replaced
from answerable.errors import Malformed, shown
from answerable.errors.codes.registry import TEMPLATE_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.mandate.caveat import Caveat
    from answerable.core.registry.documents.destination import DestinationType
    from answerable.core.registry.documents.documents import (
        DelegationTemplate,
        GrantTemplate,
        MandateTemplate,
        TemplateParameter,
    )

VALUE_CHARS_MAX: Final = 200
"""Maximum length of a value."""

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,15}")
_INTEGER_MAX: Final = 2**53 - 1
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,4}")


def filled(
    template: MandateTemplate,
    parameters: Mapping[str, str],
    *,
    principal: PrincipalId,
    id: MandateId,
    now: UnixMillis,
    application: str = "",
) -> MandateTerms:
    """Return the terms that a template gives with these values, valid from `now` for the template's lifetime.

    application: the application that will sign for the principal; empty if the principal's own key signs. A grant's
    argument that consists of one placeholder takes the type of its parameter; any other argument stays text. Raises
    Malformed (`template.parameter`) for the first value that does not fit, and says what to change.
    """
    values = _checked(template, parameters)
    types = {parameter.name: parameter.type for parameter in template.parameters}
    return MandateTerms(
        id=id,
        principal=principal,
        agent=template.agent,
        use_case=template.use_case,
        purpose=replaced(template.purpose, values),
        grants=tuple(
            Grant(capability=grant.capability, caveats=_grant_caveats(grant, values, types))
            for grant in template.grants
        ),
        caveats=_caveats_for_all(template),
        calls_max=template.calls_max,
        budgets=_filled_budgets(template, values),
        not_before=now,
        expires_at=UnixMillis(now + template.ttl_seconds * 1000),
        delegability=_delegability(template.delegation),
        application=application,
    )


def unfilled(template: MandateTemplate, parameters: Mapping[str, str]) -> tuple[TemplateParameter, ...]:
    """Return the parameters that have no value yet, in the template's order."""
    return tuple(parameter for parameter in template.parameters if parameter.name not in parameters)


def _caveats_for_all(template: MandateTemplate) -> tuple[Caveat, ...]:
    caveats: list[Caveat] = []
    if template.environment:
        caveats.append(EnvironmentIs(environment=template.environment))
    if template.ceiling:
        caveats.append(SensitivityAtMost(ceiling=template.ceiling))
    if template.kinds:
        caveats.append(KindIn(kinds=template.kinds))
    if template.systems:
        caveats.append(SystemIn(servers=template.systems))
    return tuple(caveats)


def _delegability(wanted: DelegationTemplate | None) -> Delegability:
    if wanted is None:
        return NOT_DELEGABLE
    named = (("agent", wanted.agents), ("use_case", wanted.use_cases), ("group", wanted.groups))
    return Delegability(
        depth_max=wanted.depth_max,
        width_max=wanted.width_max,
        to=tuple(f"{kind}:{name}" for kind, names in named for name in names),
    )


def _filled_budgets(template: MandateTemplate, values: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Return the limits with the values filled in. Raises Malformed (`template.parameter`) for an invalid limit."""
    found: dict[str, int] = {}
    for name, written in template.budgets:
        limit = written if isinstance(written, int) else int(replaced(written, values))
        if not is_amount(limit):
            raise TEMPLATE_PARAMETER(
                f"a limit of {shown(name)} cannot be {limit}: give a whole number, 0 or more"
            )
        found[name] = limit
    return tuple(sorted(found.items()))


def _checked(template: MandateTemplate, parameters: Mapping[str, str]) -> dict[str, str]:
    known = tuple(parameter.name for parameter in template.parameters)
    for name in parameters:
        if name not in known:
            raise TEMPLATE_PARAMETER(
                f"template {shown(template.name)} has no parameter {shown(name)}{nearest(name, known)}"
            )
    missing = [f"`{parameter.name}`" for parameter in unfilled(template, parameters)]
    if missing:
        raise TEMPLATE_PARAMETER(f"give a value for {', '.join(missing)} of template {shown(template.name)}")
    return {
        parameter.name: _value(parameter, parameters[parameter.name]) for parameter in template.parameters
    }


def _value(parameter: TemplateParameter, text: str) -> str:
    name, pattern = shown(parameter.name), shown(parameter.pattern)
    if not text or len(text) > VALUE_CHARS_MAX or not text.isprintable():
        raise TEMPLATE_PARAMETER(f"give {name} 1 to {VALUE_CHARS_MAX} printable characters")
    if not matches_whole(parameter.pattern, text):
        raise TEMPLATE_PARAMETER(
            f"{name} is {shown(text)}, which does not match {pattern}: give one that does"
        )
    _typed(parameter.type, text, name)
    return text


def _typed(kind: str, text: str, name: str) -> str | int | bool:
    """Convert a value to the type of its parameter."""
    match kind:
        case "integer" | "minor_units":
            if not _INTEGER.fullmatch(text) or abs(int(text)) > _INTEGER_MAX:
                raise TEMPLATE_PARAMETER(
                    f"{name} is {shown(text)}: give a whole number, at most 2^53 - 1, such as 1250"
                )
            return int(text)
        case "boolean":
            if text not in ("true", "false"):
                raise TEMPLATE_PARAMETER(f"{name} is {shown(text)}: give true or false")
            return text == "true"
        case "decimal":
            if not _DECIMAL.fullmatch(text):
                raise TEMPLATE_PARAMETER(
                    f"{name} is {shown(text)}: give a number with 1 to 4 decimal places, such as 12.50"
                )
    return text


def _grant_caveats(
    grant: GrantTemplate, values: Mapping[str, str], types: Mapping[str, str]
) -> tuple[Caveat, ...]:
    caveats: list[Caveat] = []
    if grant.resources:
        caveats.append(
            ResourceIn(ids=tuple(dict.fromkeys(replaced(text, values) for text in grant.resources)))
        )
    for name, written in grant.arguments:
        caveats.append(ArgumentEquals(name=name, value=_argument(written, values, types)))
    caveats += [ArgumentAtMost(name=name, maximum=maximum) for name, maximum in grant.maxima]
    if grant.destinations is not None:
        kind, texts = grant.destinations
        found = (_destination(kind, replaced(text, values)) for text in texts)
        caveats.append(DestinationIn(type=kind, allowed=tuple(dict.fromkeys(found))))
    return tuple(caveats)


def _destination(kind: DestinationType, text: str) -> str:
    """Check that a destination is in canonical spelling. Otherwise the mandate would cover nothing, or something
    else."""
    try:
        return checked_allowed(kind, text)
    except Malformed as error:
        raise TEMPLATE_PARAMETER(error.message) from None


def _argument(
    written: str | int | bool, values: Mapping[str, str], types: Mapping[str, str]
) -> str | int | bool:
    if not isinstance(written, str):
        return written
    names = placeholders_in(written)
    if len(names) == 1 and written == f"{{{names[0]}}}":
        return _typed(types[names[0]], values[names[0]], shown(names[0]))
    return replaced(written, values)
