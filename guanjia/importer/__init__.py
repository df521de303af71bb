"""Imports event logs of other systems."""
