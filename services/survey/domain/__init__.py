"""A follow-up and its rules: pure."""
