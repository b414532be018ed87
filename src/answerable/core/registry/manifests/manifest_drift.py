"""Compare the measurements of a running agent with its manifest, and decide whether the agent has drifted.

Laws: only a measured value can match; a claimed value never matches, and differs if it is another value; fields that
the manifest omits are not compared; a grade is reported as it came and never raised; a drift ends with a matching
measurement, never with a missing one; a measurement is stored until another value is found; only the kernel overrides a
measurement of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, cast

from answerable.core.identity.workload.evidence import GRADES
from answerable.core.registry.manifests.manifest import (
    DIGEST_FIELDS,
    MADE_OF_FIELDS,
    MANIFEST_FIELDS,
    checked_digest,
)
from answerable.errors import shown
from answerable.errors.codes.registry import MANIFEST_CONFLICT, MANIFEST_FIELD, MANIFEST_VALUE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.registry.manifests.manifest import Manifest, ManifestField

Verdict = Literal["match", "differs", "unmeasured"]

VALUE_CHARS_MAX: Final = 512

NEEDED_FIELDS: Final[frozenset[ManifestField]] = frozenset(
    {"prompt_digest", "code_digest", "executable_digest"}
)
"""Fields that are measured wherever an agent runs beside our sidecar or on this machine, so that a missing measurement
means that it was withheld. Only the gateway measures tools, and only the starter of an image measures the image: these
fields are compared where they were measured."""

_PROGRAM: Final = "unix:sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measured values by field, each with the grade of its source. Empty values are dropped.

    Raises Malformed: `manifest.field` for an unknown field or grade, `manifest.value`, `manifest.digest`.
    """

    values: Mapping[ManifestField, tuple[str, Grade]]

    def __post_init__(self) -> None:
        for name, (value, grade) in self.values.items():
            if name not in MANIFEST_FIELDS or grade not in GRADES:
                raise MANIFEST_FIELD(f"unknown manifest field {shown(name, 40)} or grade {shown(grade, 40)}")
            if len(value) > VALUE_CHARS_MAX:
                raise MANIFEST_VALUE(
                    f"a measured value has at most {VALUE_CHARS_MAX} characters, got {len(value)}"
                )
            if value and name in DIGEST_FIELDS:
                checked_digest(value)
        kept = {name: found for name, found in self.values.items() if found[0]}
        object.__setattr__(self, "values", MappingProxyType(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFinding:
    """The comparison of one field. found: empty if nothing was found. grade: of the found value, None if nothing was
    found."""

    field: ManifestField
    expected: str
    found: str
    grade: Grade | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTools:
    """The gateway's own observation of the tools that it offers an agent.

    digest: as `tools_digest` makes it, empty if not all tools could be observed. why: the reason for that, else empty.
    tools: pairs of server and name that the digest covers. expected: the manifest's digest, empty if it states none.
    unread: a server whose tools have not been listed yet; empty if all were.
    """

    digest: str
    why: str
    tools: tuple[tuple[str, str], ...]
    expected: str
    unread: str = ""

    @property
    def verdict(self) -> Verdict:
        """`match` only for observed tools that equal the manifest's; `unmeasured` if they could not be observed."""
        if self.why or not self.expected:
            return "unmeasured"
        return "match" if self.digest == self.expected else "differs"

    @property
    def drifted(self) -> bool:
        """Whether the agent counts as drifted. Tools that cannot be observed count as different."""
        return bool(self.expected) and self.verdict != "match"


def drift(manifest: Manifest, measured: Measured) -> tuple[FieldFinding, ...]:
    """Return one finding for each field that the manifest states, in the order of `MANIFEST_FIELDS`."""
    return tuple(
        _finding(name, expected, measured.values.get(name)) for name, expected in manifest.said().items()
    )


def drifted_fields(findings: Iterable[FieldFinding]) -> tuple[ManifestField, ...]:
    """Return the fields that differ. An empty result does not mean that all fields were measured."""
    return tuple(finding.field for finding in findings if finding.verdict == "differs")


def unmeasured_fields(findings: Iterable[FieldFinding]) -> tuple[ManifestField, ...]:
    """Return the fields of `NEEDED_FIELDS` that the manifest states and nobody measured."""
    return tuple(
        finding.field
        for finding in findings
        if finding.verdict == "unmeasured" and finding.field in NEEDED_FIELDS
    )


def drift_after(
    findings: Sequence[FieldFinding], earlier: Collection[str], *, needed: Collection[str] = ()
) -> tuple[ManifestField, ...]:
    """Return the fields that count as drifted from now on: fields that differ, needed fields that were not measured,
    and fields that had drifted before, unless they were measured now and match, or the manifest no longer states them.

    earlier: fields that had drifted. needed: fields that nobody has ever measured against this manifest.
    """
    return tuple(
        finding.field
        for finding in findings
        if finding.verdict == "differs"
        or finding.field in needed
        or (finding.field in earlier and finding.verdict != "match")
    )


def kept_after(kept: Measured, found: Measured) -> Measured:
    """Merge a new measurement into the stored one. A measured value replaces the stored value; a claim replaces it only
    if it is another value, since the earlier measurement may no longer be true. A value from the kernel is replaced
    only by the kernel, since no other source sees what actually runs."""
    values = dict(kept.values)
    for name, (value, grade) in found.values.items():
        known = values.get(name)
        if known is not None and known[1] == "kernel" != grade:
            continue
        if grade != "claimed" or known is None or known[0] != value:
            values[name] = (value, grade)
    return Measured(values=values)


def measured_in(kept: Iterable[tuple[str, str, Grade]]) -> Measured:
    """Return the stored measurements of an instance as a `Measured`. Raises Malformed, as `Measured`."""
    return Measured(values={cast("ManifestField", name): (value, grade) for name, value, grade in kept})


def kept_form(measured: Measured) -> tuple[tuple[str, str, Grade], ...]:
    """Return the form to store; the inverse of `measured_in`, in the order of `MANIFEST_FIELDS`."""
    return tuple((name, *measured.values[name]) for name in MANIFEST_FIELDS if name in measured.values)


def measured_fields(findings: Iterable[FieldFinding]) -> tuple[tuple[str, Grade], ...]:
    """Return the fields that were measured and match, each with its grade, sorted by name. All other fields of the
    manifest are claimed, or differ."""
    return tuple(
        sorted(
            (one.field, one.grade)
            for one in findings
            if one.verdict == "match" and one.grade is not None and one.field in MADE_OF_FIELDS
        )
    )


def known_grade(stated: Iterable[str], measured: Iterable[tuple[str, Grade]]) -> Grade:
    """Return how well a manifest is known to be what runs: the worst grade of all that it states about what an agent is
    made of.

    stated: names of the fields that it states. measured: the fields that were measured and match. All others count as
    `claimed`, so one claimed field makes the whole `claimed`; so is a manifest that states none.
    """
    grades = dict(measured)
    told = [grades.get(name, "claimed") for name in stated if name in MADE_OF_FIELDS]
    return max(told, key=GRADES.index, default="claimed")


def as_told_by(found: Measured, *, sidecar: bool) -> Measured:
    """Return a workload's own report with the grades that it deserves. sidecar: whether the reporter is our own
    program, which measures; from any other reporter all values are claims, whatever grade it states."""
    if sidecar:
        return found
    return Measured(values={name: (value, "claimed") for name, (value, _) in found.values.items()})


def program_in(selectors: Iterable[str]) -> Measured:
    """Return the kernel's measurement of a process's program, from the selectors of its evidence."""
    digests = [text.removeprefix(_PROGRAM) for text in selectors if text.startswith(_PROGRAM)]
    found: dict[ManifestField, tuple[str, Grade]] = {}
    if digests:
        found["executable_digest"] = (f"sha256:{digests[0]}", "kernel")
    return Measured(values=found)


def merged(*parts: Measured) -> Measured:
    """Merge the measurements of several sources: the better grade wins.

    Raises Malformed (`manifest.conflict`) if two sources of one grade found different values.
    """
    best: dict[ManifestField, tuple[str, Grade]] = {}
    for part in parts:
        for name, (value, grade) in part.values.items():
            known = best.get(name)
            if known is None or GRADES.index(grade) < GRADES.index(known[1]):
                best[name] = (value, grade)
            elif grade == known[1] and value != known[0]:
                raise MANIFEST_CONFLICT(
                    f"`{name}` was measured as {shown(known[0])} and as {shown(value)}, both with grade "
                    f"{grade}"
                )
    return Measured(values=best)


def _finding(name: ManifestField, expected: str, found: tuple[str, Grade] | None) -> FieldFinding:
    if found is None:
        return FieldFinding(field=name, expected=expected, found="", grade=None, verdict="unmeasured")
    value, grade = found
    verdict: Verdict = "match"
    if value != expected:
        verdict = "differs"
    elif grade == "claimed":
        verdict = "unmeasured"
    return FieldFinding(field=name, expected=expected, found=value, grade=grade, verdict=verdict)
