"""Attestation, enrolment and instances of workloads."""
