"""Validate Python econometrics against R."""

__version__ = "0.1.0"
