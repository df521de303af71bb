"""Every event of the system, the published language; no I/O."""
