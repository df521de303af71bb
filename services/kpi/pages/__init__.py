"""The rates for people."""
