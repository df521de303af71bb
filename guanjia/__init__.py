"""The composition root: the command line and what joins the four services."""
