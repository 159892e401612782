"""Every feature file of this folder, scenario by scenario."""

import re
from pathlib import Path

import pytest
from pytest_bdd import scenarios

pytest_plugins = [
    f"tests.e2e.features.steps.{room}"
    for room in ("scene", "accounts", "sharing", "mobile", "devices", "control", "live", "imports", "search")
]
pytestmark = pytest.mark.e2e
ROWS = (
    *("A1", "A2", "A3", "A4", "A5", "A6", "A7"),
    *("B1", "B2", "B4", "B5"),
    *("C4", "C5", "C7"),
    *("E1", "E2", "E3", "E4", "E5"),
    *("H1", "H2", "H3", "H4"),
    *("I1", "I3"),
)
"""Capabilities that have a feature file each, by the letter and number under which they are known."""

scenarios(".")


def test_every_capability_has_its_feature_file_and_every_file_its_capability():
    files = {path.name.partition("_")[0]: path for path in Path(__file__).parent.glob("*.feature")}
    assert sorted(files) == sorted(ROWS)
    for row, path in files.items():
        text = path.read_text()
        assert re.match(rf"Feature: {row} \S", text), path
        assert text.count("Scenario") >= 2, f"{path.name}: a good case and one that goes wrong, at least"
