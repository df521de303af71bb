"""What comes in, checked: pure."""
