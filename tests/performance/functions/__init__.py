"""What a function call costs: warm, cold, from 1 and 50 callers, and a burst of events."""

from tests.performance.functions.bench import run

__all__ = ["run"]
