"""APIs over HTTP that take a bearer token, as targets of the broker and as what gives their tokens."""

from __future__ import annotations

from answerable.adapters.bearer_api.answer import AnswerLimits
from answerable.adapters.bearer_api.asking import JsonApi
from answerable.adapters.bearer_api.target import ApiShape, BearerTarget

__all__ = ["AnswerLimits", "ApiShape", "BearerTarget", "JsonApi"]
