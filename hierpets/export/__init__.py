"""A bundle for other runtimes, checked on photos before it is kept."""
