"""Call HTTP APIs that use bearer tokens: as broker targets, and as systems that issue the tokens."""

from __future__ import annotations

from answerable.targets.bearer_api.answer import AnswerLimits
from answerable.targets.bearer_api.asking import JsonApi
from answerable.targets.bearer_api.target import ApiShape, BearerTarget

__all__ = ["AnswerLimits", "ApiShape", "BearerTarget", "JsonApi"]
