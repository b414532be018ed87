"""Enrolment, manifests, bundles, dormancy of workloads."""
