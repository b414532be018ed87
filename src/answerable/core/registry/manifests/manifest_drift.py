"""What a running agent is made of, measured, against what its manifest says.

Laws: only what somebody measured can match; a value that was merely claimed matches nothing, and differs when it says
something else; what the manifest does not say is not compared; a grade is shown as it came and never raised; a drift
ends with a measurement that matches, never with silence; what was measured is kept until something else is found; what
the kernel found nobody but the kernel takes back.
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
"""What is measured wherever an agent runs beside our sidecar or on this machine, so that what was not measured was kept
from us. Tools are seen by the gateway alone, an image by who starts it: they are compared where somebody measured
them."""

_PROGRAM: Final = "unix:sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found, by field, each with who found it. An empty value is one that was not found.

    Raises Malformed: `manifest.field` for a field or grade that there is none of, `manifest.value`,
    `manifest.digest`.
    """

    values: Mapping[ManifestField, tuple[str, Grade]]

    def __post_init__(self) -> None:
        for name, (value, grade) in self.values.items():
            if name not in MANIFEST_FIELDS or grade not in GRADES:
                raise MANIFEST_FIELD(f"there is no field {shown(name, 40)} of grade {shown(grade, 40)}")
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
    """found: empty when nothing was. grade: of what was found, None when nothing was."""

    field: ManifestField
    expected: str
    found: str
    grade: Grade | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTools:
    """What the gateway itself saw of the tools that it offers an agent.

    digest: as `tools_digest` makes it, empty where they could not all be seen. why: why not, empty otherwise.
    tools: pairs of server and name that the digest is over. expected: what the manifest says, empty where it says
    nothing of tools.
    """

    digest: str
    why: str
    tools: tuple[tuple[str, str], ...]
    expected: str

    @property
    def verdict(self) -> Verdict:
        """`match` only for what was seen and is what the manifest says; `unmeasured` where it could not be seen."""
        if self.why or not self.expected:
            return "unmeasured"
        return "match" if self.digest == self.expected else "differs"

    @property
    def drifted(self) -> bool:
        """Whether the agent counts as one that differs: what cannot be seen may be anything."""
        return bool(self.expected) and self.verdict != "match"


def drift(manifest: Manifest, measured: Measured) -> tuple[FieldFinding, ...]:
    """One finding for each field that the manifest says, in the order of `MANIFEST_FIELDS`."""
    return tuple(
        _finding(name, expected, measured.values.get(name)) for name, expected in manifest.said().items()
    )


def drifted_fields(findings: Iterable[FieldFinding]) -> tuple[ManifestField, ...]:
    """The fields that differ; empty when none does, which is not to say that all were measured."""
    return tuple(finding.field for finding in findings if finding.verdict == "differs")


def unmeasured_fields(findings: Iterable[FieldFinding]) -> tuple[ManifestField, ...]:
    """The fields of `NEEDED_FIELDS` that the manifest says and nobody measured."""
    return tuple(
        finding.field
        for finding in findings
        if finding.verdict == "unmeasured" and finding.field in NEEDED_FIELDS
    )


def drift_after(
    findings: Sequence[FieldFinding], earlier: Collection[str], *, needed: Collection[str] = ()
) -> tuple[ManifestField, ...]:
    """What counts as drift from here on: what differs, what is needed and was not measured, and what had drifted before
    unless it was measured now and matches, or the manifest does not say it any more.

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
    """What is known of something that was looked at again. What was measured now takes the place of what was known; a
    claim only where it says something else, for then what was measured before may be true no more. What the kernel
    said stands until the kernel says something else: nobody beside it sees what runs."""
    values = dict(kept.values)
    for name, (value, grade) in found.values.items():
        known = values.get(name)
        if known is not None and known[1] == "kernel" != grade:
            continue
        if grade != "claimed" or known is None or known[0] != value:
            values[name] = (value, grade)
    return Measured(values=values)


def measured_in(kept: Iterable[tuple[str, str, Grade]]) -> Measured:
    """What is kept of an instance, as it was measured. Raises Malformed, as `Measured`."""
    return Measured(values={cast("ManifestField", name): (value, grade) for name, value, grade in kept})


def kept_form(measured: Measured) -> tuple[tuple[str, str, Grade], ...]:
    """The inverse of `measured_in`, in the order of `MANIFEST_FIELDS`."""
    return tuple((name, *measured.values[name]) for name in MANIFEST_FIELDS if name in measured.values)


def measured_fields(findings: Iterable[FieldFinding]) -> tuple[tuple[str, Grade], ...]:
    """The fields that somebody measured and that match, each with its grade, sorted by name. All others that a
    manifest says are claimed, or differ."""
    return tuple(
        sorted(
            (one.field, one.grade)
            for one in findings
            if one.verdict == "match" and one.grade is not None and one.field in MADE_OF_FIELDS
        )
    )


def known_grade(stated: Iterable[str], measured: Iterable[tuple[str, Grade]]) -> Grade:
    """How well a manifest is known to be what runs: the worst grade of all that it says of what an agent is made of.

    stated: names of the fields that it says. measured: those that were measured and match. What was not is `claimed`,
    so one claimed field makes the whole no better than that; `claimed` too where it says nothing.
    """
    grades = dict(measured)
    told = [grades.get(name, "claimed") for name in stated if name in MADE_OF_FIELDS]
    return max(told, key=GRADES.index, default="claimed")


def as_told_by(found: Measured, *, sidecar: bool) -> Measured:
    """What somebody told of itself. sidecar: whether it is known to be our own program, which reads before it tells;
    of everybody else all of it is a claim, whatever they call it."""
    if sidecar:
        return found
    return Measured(values={name: (value, "claimed") for name, (value, _) in found.values.items()})


def program_in(selectors: Iterable[str]) -> Measured:
    """What the kernel said about the program of a process, from the selectors of its evidence."""
    digests = [text.removeprefix(_PROGRAM) for text in selectors if text.startswith(_PROGRAM)]
    found: dict[ManifestField, tuple[str, Grade]] = {}
    if digests:
        found["executable_digest"] = (f"sha256:{digests[0]}", "kernel")
    return Measured(values=found)


def merged(*parts: Measured) -> Measured:
    """What several measured, together: the better grade counts.

    Raises Malformed (`manifest.conflict`) where two of one grade found different values.
    """
    best: dict[ManifestField, tuple[str, Grade]] = {}
    for part in parts:
        for name, (value, grade) in part.values.items():
            known = best.get(name)
            if known is None or GRADES.index(grade) < GRADES.index(known[1]):
                best[name] = (value, grade)
            elif grade == known[1] and value != known[0]:
                raise MANIFEST_CONFLICT(
                    f"`{name}` was found to be {shown(known[0])} and {shown(value)}, both by grade {grade}"
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
