"""What counts as drift after a measurement, given what had drifted before it."""

from __future__ import annotations

import pytest

from answerable.core.registry.manifests.manifest_drift import Measured, drift, drift_after, unmeasured_fields
from answerable.testing.contracts.manifest_register import sample_manifest

MADE = sample_manifest()
PROMPT = Measured(values={"prompt_digest": (MADE.prompt_digest, "sidecar")})
CLAIMED = Measured(values={"prompt_digest": (MADE.prompt_digest, "claimed")})
CRUEL = Measured(values={"prompt_digest": (f"sha256:{'f' * 64}", "sidecar")})
NOTHING = Measured(values={})


@pytest.mark.parametrize(
    ("measured", "missing"),
    [
        (NOTHING, ("prompt_digest", "code_digest")),
        (CLAIMED, ("prompt_digest", "code_digest")),
        (PROMPT, ("code_digest",)),
        (CRUEL, ("code_digest",)),
    ],
)
def test_prompt_and_code_are_missed_and_nothing_else(measured: Measured, missing: tuple[str, ...]) -> None:
    assert unmeasured_fields(drift(MADE, measured)) == missing


@pytest.mark.parametrize(
    ("measured", "earlier", "after"),
    [
        (NOTHING, (), ()),
        (NOTHING, ("prompt_digest",), ("prompt_digest",)),
        (CLAIMED, ("prompt_digest",), ("prompt_digest",)),
        (PROMPT, ("prompt_digest",), ()),
        (PROMPT, ("code_digest", "prompt_digest"), ("code_digest",)),
        (CRUEL, ("code_digest",), ("prompt_digest", "code_digest")),
        (NOTHING, ("image_digest",), ()),
    ],
)
def test_a_drift_ends_with_a_match_or_where_the_manifest_is_silent(
    measured: Measured, earlier: tuple[str, ...], after: tuple[str, ...]
) -> None:
    assert drift_after(drift(MADE, measured), earlier) == after


def test_what_is_needed_and_was_not_measured_counts_as_drift() -> None:
    findings = drift(MADE, PROMPT)
    assert drift_after(findings, (), needed=unmeasured_fields(findings)) == ("code_digest",)
