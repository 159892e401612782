"""Benchmarks, run by hand through scripts/bench. Figures are medians and ratios side by side in one run."""
