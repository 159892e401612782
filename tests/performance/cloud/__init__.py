"""``scripts/bench cloud``."""

from tests.performance.cloud.bench import run

__all__ = ["run"]
