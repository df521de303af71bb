"""Workflows as data: read from files, checked when read, walked by one flat machine each."""
