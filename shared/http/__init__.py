"""The edge: what every service answers over HTTP by."""
