"""What can be wrong with a template, found before anything of it is made.

CloudFormation validates a template as a whole: a mistake in an output, or in a branch that is not taken, is refused
like one in a resource.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infra.local.template.errors import TemplateError
from infra.local.template.intrinsics import NO_VALUE, UNKNOWN, Physical, Resolver, references
from infra.local.template.kinds import KINDS, REFUSED

SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
}
ATTRIBUTES = {"Type", "Properties", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
"""What a resource may say beside its properties; CreationPolicy and UpdatePolicy are refused."""
POLICIES = {"Delete", "Retain", "RetainExceptOnCreate"}
"""What may become of a removed resource; nothing here makes a Snapshot."""
OUTPUT = {"Value", "Description", "Condition"}
"""What an output may say; an Export is for other stacks, and the local cloud holds one."""


def check_template(template: Mapping[str, Any], resolver: Resolver) -> dict[str, dict[str, Any]]:
    """Refuse what no deploy could carry out; return each resource's properties, as far as they are known beforehand.

    Raises:
        TemplateError: names the logical id and what is wrong there.
    """
    for name in template.keys() - SECTIONS:
        raise TemplateError("", "this section of a template is not carried", name)
    for name in template.get("Conditions", {}):
        resolver.holds(name, name)
    for logical_id, resource in template["Resources"].items():
        check_resource(logical_id, resource)
    rehearsal = replace(
        resolver,
        rehearsal=True,
        resources={logical_id: _imagined(resource["Type"]) for logical_id, resource in template["Resources"].items()},
    )
    absent = {
        logical_id
        for logical_id, one in template["Resources"].items()
        if "Condition" in one and not resolver.holds(one["Condition"], logical_id)
    }
    for name, output in template.get("Outputs", {}).items():
        _check_output(name, output, rehearsal, absent)
    return {logical_id: _rehearsed(logical_id, one, rehearsal) for logical_id, one in template["Resources"].items()}


def check_resource(logical_id: str, resource: Any) -> None:
    """Refuse a resource whose type, attributes or properties the local cloud does not carry.

    Raises:
        TemplateError: names the logical id and what is not carried.
    """
    if not isinstance(resource, dict) or "Type" not in resource:
        raise TemplateError(logical_id, "has no Type")
    kind = resource["Type"]
    if kind not in KINDS:
        raise TemplateError(logical_id, f"{kind} is not carried: {REFUSED.get(kind, 'no provisioner for this type')}")
    _check_attributes(logical_id, resource)
    properties = resource.get("Properties", {})
    if not isinstance(properties, dict):
        raise TemplateError(logical_id, "is a map of properties", "Properties")
    for name in sorted(properties.keys() - KINDS[kind].carried):
        raise TemplateError(logical_id, f"{kind} is carried without this property", name)


def _check_attributes(logical_id: str, resource: Mapping[str, Any]) -> None:
    for name in sorted(resource.keys() - ATTRIBUTES):
        raise TemplateError(logical_id, "this resource attribute is not carried", name)
    for name in ("DeletionPolicy", "UpdateReplacePolicy"):
        if resource.get(name, "Delete") not in POLICIES:
            raise TemplateError(logical_id, f"{resource[name]} is not one of {', '.join(sorted(POLICIES))}", name)
    waits_for = resource.get("DependsOn", [])
    if not all(isinstance(each, str) for each in (waits_for if isinstance(waits_for, list) else [waits_for])):
        raise TemplateError(logical_id, "is a logical id, or a list of them", "DependsOn")


def _imagined(kind: str) -> Physical:
    return Physical(UNKNOWN, dict.fromkeys(KINDS[kind].attributes, UNKNOWN))


def _rehearsed(logical_id: str, resource: Mapping[str, Any], rehearsal: Resolver) -> dict[str, Any]:
    if "Condition" in resource:
        rehearsal.holds(resource["Condition"], logical_id)
    rehearsal.resolve(logical_id, resource.get("Metadata", {}), "Metadata")
    properties = rehearsal.resolve(logical_id, resource.get("Properties", {}))
    return {} if properties is NO_VALUE else properties


def _check_output(name: str, output: Any, rehearsal: Resolver, absent: set[str]) -> None:
    if not isinstance(output, dict) or "Value" not in output:
        raise TemplateError(name, "an output has a Value")
    for key in sorted(output.keys() - OUTPUT):
        raise TemplateError(name, "this part of an output is not carried", key)
    stands = "Condition" not in output or rehearsal.holds(output["Condition"], name)
    rehearsal.resolve(name, output["Value"], "Value")
    if stands and (left_out := sorted(absent.intersection(references(output["Value"], rehearsal.is_true)))):
        raise TemplateError(name, f"refers to {left_out[0]}, which its condition leaves out", "Value")
