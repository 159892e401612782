"""``scripts/bench rules``."""

from tests.performance.rules.bench import run

__all__ = ["run"]
