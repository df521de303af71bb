"""What a case is and how it is decided: pure, the time is an argument."""
