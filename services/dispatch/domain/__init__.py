"""What a case is and how it is decided: pure, told the time."""
