"""Workloads: attestation, enrolment and running instances."""
