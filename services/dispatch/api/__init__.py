"""dispatch over HTTP."""
