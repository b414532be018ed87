"""Enrol workloads, register and compare their manifests, follow trust bundles, suspend dormant agents."""
