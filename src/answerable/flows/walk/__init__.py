"""Govern one action from the agent's request to the recorded outcome. Begin reading at `govern_action`."""
