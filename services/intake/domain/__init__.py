"""Incoming events, decoded and checked: pure."""
