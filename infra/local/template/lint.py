"""cfn-lint over the template as written and as translated: ``python -m infra.local.template.lint``."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.config import ROOT
from infra.local.template.translate import load_template, translate

TEMPLATE = ROOT / "infra" / "template.yaml"
OF_THE_TRANSLATION = {
    "W2001": "SAM puts the values of parameters in their places, so that some are not used any more",
}
"""Rules that say nothing about a translation, each with its reason."""


def lint_template(path: Path = TEMPLATE, *, region: str = "us-east-1") -> list[str]:
    """Return what cfn-lint says about a SAM template and about its translation; nothing is well.

    Raises:
        TemplateError: it cannot be translated.
    """
    document = load_template(path)
    given = {name: _example(rule) for name, rule in document.get("Parameters", {}).items() if "Default" not in rule}
    translation = json.dumps(translate(path, given, region=region), indent=1, default=str)
    written = [f"{path.name}: {finding}" for finding in _findings(path.read_text(), region)]
    return written + [
        f"translation of {path.name}: {finding}"
        for finding in _findings(translation, region, tuple(OF_THE_TRANSLATION))
    ]


def _example(rule: Mapping[str, Any]) -> str:
    return str(rule.get("AllowedValues", ["1" if rule.get("Type") == "Number" else "example"])[0])


def _findings(source: str, region: str, ignored: tuple[str, ...] = ()) -> list[str]:
    from cfnlint.api import ManualArgs, lint

    found = lint(source, config=ManualArgs(regions=[region], ignore_checks=list(ignored)))
    return [f"line {match.linenumber}: {match.rule.id} {match.message}" for match in found]


def main() -> int:
    """Print the findings; return how many there are, at most 1."""
    findings = lint_template()
    sys.stdout.write("".join(f"{finding}\n" for finding in findings))
    return min(len(findings), 1)


if __name__ == "__main__":
    sys.exit(main())
