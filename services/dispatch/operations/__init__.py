"""What dispatch does: one path for everything that changes cases, and what comes in from facts."""
