"""A stack's parameters: declared by the template, given by ``samconfig.toml``, overridden by the caller."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.template.errors import TemplateError

RULES = {
    *("Type", "Default", "AllowedPattern", "AllowedValues", "ConstraintDescription", "Description", "MaxLength"),
    *("MaxValue", "MinLength", "MinValue", "NoEcho"),
}
ASSIGNMENT = re.compile(r"""([A-Za-z0-9]+)=("[^"]*"|'[^']*'|\S+)""")


@dataclass(frozen=True, slots=True)
class Stage:
    """What ``samconfig.toml`` says of one stage."""

    stack_name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def load_stage(path: Path, stage: str) -> Stage:
    """Return the table ``[{stage}.deploy.parameters]`` of a ``samconfig.toml``.

    Raises:
        TemplateError: the file has no such stage.
    """
    document = tomllib.loads(path.read_text())
    if stage not in document:
        stages = ", ".join(sorted(name for name in document if name != "version"))
        raise TemplateError("", f"{path.name} has no stage {stage}; it has {stages}")
    parameters = document[stage].get("deploy", {}).get("parameters", {})
    shared = document[stage].get("global", {}).get("parameters", {})
    overrides = parameters.get("parameter_overrides", [])
    text = overrides if isinstance(overrides, str) else " ".join(overrides)
    pairs = {name: value.strip("\"'") for name, value in ASSIGNMENT.findall(text)}
    return Stage(parameters.get("stack_name") or shared["stack_name"], pairs)


def resolve_parameters(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return every declared parameter's value, checked as CloudFormation checks it ("Parameters section").

    Raises:
        TemplateError: a value is missing, unknown or not allowed.
    """
    for name in given:
        if name not in declared:
            raise TemplateError(name, "the template has no such parameter")
    for name, rule in declared.items():
        if "Default" in rule:  # is validated with the template, whatever is given in its place
            _parameter(name, rule, rule["Default"])
    return {name: _parameter(name, rule, given.get(name, rule.get("Default"))) for name, rule in declared.items()}


def _parameter(name: str, rule: Mapping[str, Any], value: Any) -> Any:
    if unknown := sorted(rule.keys() - RULES):
        raise TemplateError(name, "a parameter has no such property", unknown[0])
    kind = rule.get("Type", "String")
    if kind not in {"String", "Number", "CommaDelimitedList", "List<Number>"} and not kind.startswith(
        ("AWS::EC2::", "List<AWS::EC2::")
    ):
        raise TemplateError(name, f"parameters of type {kind} are not carried")
    if value is None:
        raise TemplateError(name, "has no default and was not given")
    text = str(value)
    entries = [entry.strip() for entry in text.split(",")] if text else []
    many = kind.startswith(("List<", "CommaDelimitedList"))
    typed = [_number(name, text)] if kind == "Number" else entries if many else [text]
    for entry in typed:
        _check(name, rule, str(entry))
    return typed if many else typed[0]


def _number(name: str, text: str) -> int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise TemplateError(name, f"{text!r} is no number") from None


def _check(name: str, rule: Mapping[str, Any], text: str) -> None:
    allowed = [str(value) for value in rule.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise TemplateError(name, f"{text!r} is not one of {', '.join(allowed)}")
    if "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], text):
        raise TemplateError(name, f"{text!r} does not match {rule['AllowedPattern']}")
    for limit, measure, below in (
        ("MinLength", len, True), ("MaxLength", len, False), ("MinValue", float, True), ("MaxValue", float, False),
    ):  # fmt: skip
        if limit in rule and (measure(text) < float(rule[limit]) if below else measure(text) > float(rule[limit])):
            raise TemplateError(name, f"{text!r} passes {limit} {rule[limit]}")
