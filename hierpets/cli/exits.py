"""Exit codes of commands beside 0, and click's 1 and 2: scripts read them."""

__all__ = ["INTERRUPTED", "SOME_FAILED"]

SOME_FAILED, INTERRUPTED = 3, 130
