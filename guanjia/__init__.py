"""The composition root: the command line and everything that runs several services together."""
