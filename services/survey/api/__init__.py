"""survey over HTTP."""
