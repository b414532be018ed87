"""Witnesses, cosignatures, evidence bundles."""
