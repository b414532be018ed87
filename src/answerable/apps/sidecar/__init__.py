"""The sidecar of a running agent: it holds the keys of one instance, so that the agent need not."""
