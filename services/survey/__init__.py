"""Follow-ups: everybody who was served is asked how it was."""
