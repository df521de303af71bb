"""Reads of dispatch, a module for each capability; locking reads hold their rows until the commit."""
