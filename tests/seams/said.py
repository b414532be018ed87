"""What the gateway answers an agent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2


@dataclass(frozen=True, slots=True)
class Said:
    """What the gateway answered an agent. code: `ok`, or of what stood in the way."""

    code: str
    text: str
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def approval(self) -> str:
        """Whom it waits for."""
        return str(self.found["approvalId"])


def read_answer(answer: httpx2.Response) -> Said:
    """Of a result, a refusal, or an error of the protocol."""
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    found = json.loads(lines[-1] if lines else answer.text)
    if "result" not in found:
        data = found.get("error", {}).get("data") or {}
        code = data.get("code") if isinstance(data, dict) else None
        return Said(str(code or answer.status_code), answer.text)
    result = found["result"]
    structured = result.get("structuredContent") or {}
    text = " ".join(one.get("text", "") for one in result.get("content", ()))
    if not result.get("isError"):
        return Said("ok", text, {**structured, **result.get("_meta", {})})
    return Said(str(structured.get("code") or structured.get("state") or "failed"), text, structured)
