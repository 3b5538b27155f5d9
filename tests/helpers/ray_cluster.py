"""Ray on this machine, once for a module of tests: it takes seconds to start."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ray_on_this_machine"]


@contextmanager
def ray_on_this_machine() -> Iterator[None]:
    """Ray with two cores, quiet."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
