"""What survey does."""
