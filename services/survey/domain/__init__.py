"""Follow-ups and their rules: pure."""
