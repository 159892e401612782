"""A plan carried out in the registry: all of it, or nothing."""

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.iot.errors import InvalidError, IotError, RefusedError
from infra.local.iot.provisioning.documents import Plan, Resource
from infra.local.iot.registry.registry import Registry
from infra.local.iot.registry.state import CertificateRecord, ThingRecord, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What a plan made."""

    thing_name: str | None
    certificate: CertificateRecord | None
    arns: dict[str, str]


Call = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""An operation of AWS IoT by its name, its input checked as if it came from outside."""


def carry_out(registry: Registry, call: Call, plan: Plan) -> Provisioned:
    """Create or override the plan's thing, certificate and policies, and attach them to one another.

    Raises:
        IotError: why not; the registry is as it was.
    """
    state = registry.state
    tables: list[dict[str, Any]] = [state.things, state.certificates, state.policies]
    touched = _touched(plan)
    before = [{name: copy.deepcopy(table[name]) for name in touched & table.keys()} for table in tables]
    known = [set(table) for table in tables]
    try:
        return _carry_out(registry, call, plan)
    except BaseException:
        for table, records, names in zip(tables, before, known, strict=True):
            for name in set(table) - names:
                del table[name]
            table.update(records)
        registry.changed()
        raise


def _carry_out(registry: Registry, call: Call, plan: Plan) -> Provisioned:
    certificate = _certificate(registry, call, plan.certificates[0]) if plan.certificates else None
    arns: dict[str, str] = {}
    if certificate:
        arns["certificate"] = certificate.arn
    for resource in plan.policies:
        name = _policy(registry, call, resource)
        arns["policy"] = registry.state.arn("policy", name)
        if certificate:
            call("AttachPolicy", {"policyName": name, "target": certificate.arn})
    thing_name = _thing(registry, call, plan.things[0]) if plan.things else None
    if thing_name:
        arns["thing"] = registry.state.arn("thing", thing_name)
        if certificate:
            call("AttachThingPrincipal", {"thingName": thing_name, "principal": certificate.arn})
    return Provisioned(thing_name=thing_name, certificate=certificate, arns=arns)


def _touched(plan: Plan) -> set[str]:
    """Return the names of the records the plan may change."""
    names = {resource.properties.get("ThingName", "") for resource in plan.things}
    names |= {resource.properties.get("CertificateId", "") for resource in plan.certificates}
    return names | {_policy_name(resource) for resource in plan.policies}


def _certificate(registry: Registry, call: Call, resource: Resource) -> CertificateRecord:
    properties = resource.properties
    status = properties.get("Status", "ACTIVE").upper()
    if (
        status not in {"ACTIVE", "INACTIVE"}
        or len({"CertificateId", "CertificateSigningRequest"} & set(properties)) != 1
    ):
        raise InvalidError(
            "A certificate has a CertificateId or a CertificateSigningRequest, and is ACTIVE or INACTIVE."
        )
    if "CertificateSigningRequest" in properties:
        certificate = registry.certificates.from_csr(properties["CertificateSigningRequest"])
        return registry.certificates.add(certificate, status)
    record = found(registry.state.certificates, properties["CertificateId"], "Certificate")
    override = resource.override("Status")
    if record.status == "PENDING_ACTIVATION" or override == "REPLACE":
        call("UpdateCertificate", {"certificateId": record.id, "newStatus": status})
    elif override == "FAIL":
        raise _conflict("Certificate", record.id)
    return record


def _policy(registry: Registry, call: Call, resource: Resource) -> str:
    name = _policy_name(resource)
    if "PolicyDocument" in resource.properties and name not in registry.state.policies:
        document = resource.properties["PolicyDocument"]
        call("CreatePolicy", {"policyName": name, "policyDocument": document})
    found(registry.state.policies, name, "Policy")
    return name


def _policy_name(resource: Resource) -> str:
    """Return the policy's name, by default a hash of its document."""
    document: str = resource.properties.get("PolicyDocument", "")
    name: str = resource.properties.get("PolicyName") or hashlib.sha256(document.encode()).hexdigest()
    return name


def _thing(registry: Registry, call: Call, resource: Resource) -> str:
    properties = resource.properties
    if "ThingName" not in properties:
        raise InvalidError("A thing has a ThingName.")
    name: str = properties["ThingName"]
    groups = properties.get("ThingGroups", [])
    attributes, type_name = properties.get("AttributePayload", {}), properties.get("ThingTypeName")
    existing = registry.state.things.get(name)
    if existing is None:
        ask = {"thingName": name, "attributePayload": {"attributes": attributes}}
        call("CreateThing", {**ask, **({"thingTypeName": type_name} if type_name else {})})
        _join(call, name, groups)
        return name
    _override(call, resource, existing)
    return name


def _override(call: Call, resource: Resource, existing: ThingRecord) -> None:
    """Change a thing that exists already, as its OverrideSettings say."""
    properties, name = resource.properties, existing.name
    if "FAIL" in map(resource.override, ("AttributePayload", "ThingTypeName", "ThingGroups")):
        raise _conflict("Thing", name)
    if (how := resource.override("AttributePayload")) != "DO_NOTHING":
        payload = {"attributes": properties.get("AttributePayload", {}), "merge": how == "MERGE"}
        call("UpdateThing", {"thingName": name, "attributePayload": payload})
    if properties.get("ThingTypeName") and resource.override("ThingTypeName") == "REPLACE":
        call("UpdateThing", {"thingName": name, "thingTypeName": properties["ThingTypeName"]})
    if (how := resource.override("ThingGroups")) != "DO_NOTHING":
        if how == "REPLACE":
            existing.groups.clear()
        _join(call, name, properties.get("ThingGroups", []))


def _join(call: Call, name: str, groups: list[str]) -> None:
    for group in groups:
        call("AddThingToThingGroup", {"thingName": name, "thingGroupName": group})


def _conflict(what: str, name: str) -> IotError:
    return RefusedError("ResourceConflictsException", 409, f"{what} {name} already exists.")
