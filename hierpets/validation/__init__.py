"""Validation of files, arguments and requests: which value is wrong, on which line, and why."""
