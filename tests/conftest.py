"""What holds for all tests: how hypothesis looks for cases, and what the terminal says at the end."""

import gc
import signal

import hypothesis
import pytest

# Nothing is judged by the clock: on a busy machine an example may take seconds.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("any machine")

# What a shell starts in the background ignores Ctrl-C, and so would every process that a test starts to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what the tests hold: it stays to the end, and is much to go through each time."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cells the matrix of who may do what asked, by kind, in whichever processes."""
    counts = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, value in report.user_properties
        if name == "matrix"
    ]
    if counts:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts)
        terminalreporter.write_line(f"matrix: {sum(count for _, count in counts):,} cells ({kinds})")
