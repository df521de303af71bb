"""What happens when things break: short tests, and the long campaigns as programs."""
