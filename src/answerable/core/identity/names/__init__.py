"""Names of principals and workloads."""
