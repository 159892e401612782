"""What the terminal says at the end, beside what pytest says."""

import pytest


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
