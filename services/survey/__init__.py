"""Follow-ups: every resident who was served is asked to rate it."""
