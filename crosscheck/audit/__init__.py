"""Audit a published table from its printed numbers alone."""
