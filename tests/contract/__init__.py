"""What both buses promise alike, and what all four services do alike."""
