"""Exit codes of commands besides 0, 1 (error) and 2 (usage). Scripts depend on them."""

__all__ = ["INTERRUPTED", "SOME_FAILED"]

SOME_FAILED, INTERRUPTED = 3, 130
