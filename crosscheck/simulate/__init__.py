"""Panels whose effects are known: simulated ones, and ones reconstructed to be consistent with printed tables."""
