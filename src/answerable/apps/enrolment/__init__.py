"""The door by which running workloads get, keep and give up a name of their own."""
