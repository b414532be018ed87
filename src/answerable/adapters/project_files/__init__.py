"""Collect facts about an agent from its project directory: prompts, code, framework, model, MCP servers."""

from __future__ import annotations

from answerable.adapters.project_files.collecting import Collected, FoundField, collected
from answerable.adapters.project_files.mcp_clients import ClientServer
from answerable.adapters.project_files.program import ProgramFile
from answerable.adapters.project_files.tree import CollectLimits

__all__ = ["ClientServer", "CollectLimits", "Collected", "FoundField", "ProgramFile", "collected"]
