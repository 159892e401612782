"""Provisioning template documents: checked when they are stored, evaluated when a device comes. Pure.

AWS IoT developer guide, "Provisioning templates": sections, resources, ``OverrideSettings``, intrinsic functions.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.iot.errors import InvalidError, NotEmulatedError

CERTIFICATE_ID = "AWS::IoT::Certificate::Id"
MAX_BODY_CHARS = 10_240
_SECTIONS = {"Parameters", "Mappings", "Resources", "DeviceConfiguration"}
_PROPERTIES = {
    "AWS::IoT::Thing": {"ThingName", "AttributePayload", "ThingTypeName", "ThingGroups"},
    "AWS::IoT::Certificate": {"CertificateId", "CertificateID", "CertificateSigningRequest", "Status"},
    "AWS::IoT::Policy": {"PolicyName", "PolicyDocument"},
}
_CONTAINERS: Mapping[str, type] = {"AttributePayload": dict, "ThingGroups": list}
"""What is evaluated to something else than a text; the registry checks what they hold."""
_NOT_CARRIED = {"BillingGroup", "CertificatePem", "CACertificatePem"}
_SETTINGS = {
    "ATTRIBUTE_PAYLOAD": "AttributePayload",
    "THING_TYPE_NAME": "ThingTypeName",
    "THING_GROUPS": "ThingGroups",
    "STATUS": "Status",
}
"""The page's list spells them so, its examples as the properties; both are taken."""
_ACTIONS = {"DO_NOTHING", "REPLACE", "FAIL", "MERGE"}
_MERGEABLE = {"AttributePayload", "ThingGroups"}
_NOT_FLAT = "DeviceConfiguration has a string, or a function that makes one, under each name."
_SUBSTITUTED = re.compile(r"\$\{(!?)([^}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of a template: its properties, evaluated or not, and what to do where it exists already."""

    kind: str
    properties: Mapping[str, Any]
    overrides: Mapping[str, str] = field(default_factory=dict)

    def override(self, name: str) -> str:
        """Return what to do with a property of an existing resource. The page names no default: nothing is changed."""
        return self.overrides.get(name, "DO_NOTHING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A checked template document."""

    defaults: Mapping[str, str | None]
    """Every declared parameter, with its default if it has one."""
    mappings: Mapping[str, Mapping[str, Mapping[str, Any]]]
    resources: Mapping[str, Resource]
    device_configuration: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A template evaluated for one device."""

    things: tuple[Resource, ...]
    certificates: tuple[Resource, ...]
    policies: tuple[Resource, ...]
    device_configuration: Mapping[str, str]


def load_template(body: str) -> Template:
    """Return a template document.

    Raises:
        InvalidError: it is not JSON, or not what the page allows.
        NotEmulatedError: it asks for what the local cloud does not carry.
    """
    if len(body) > MAX_BODY_CHARS:
        raise InvalidError(f"The template body exceeds {MAX_BODY_CHARS} characters.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidError("The template body is not JSON.") from error
    _require(isinstance(document, dict) and not set(document) - _SECTIONS, "The template has an unknown section.")
    parameters = _object(document, "Parameters")
    for name, declared in parameters.items():
        known = (
            isinstance(declared, dict) and declared.get("Type") == "String" and not set(declared) - {"Type", "Default"}
        )
        _require(known and isinstance(declared.get("Default", ""), str), f"Parameter {name} must be of Type String.")
    resources = _object(document, "Resources")
    _require(bool(resources), "The template has no Resources.")
    template = Template(
        defaults={name: declared.get("Default") for name, declared in parameters.items()},
        mappings=_mappings(document),
        resources={name: _resource(name, raw) for name, raw in resources.items()},
        device_configuration=_object(document, "DeviceConfiguration"),
    )
    kinds = [resource.kind for resource in template.resources.values()]
    for kind in ("AWS::IoT::Thing", "AWS::IoT::Certificate"):
        _require(kinds.count(kind) <= 1, f"The template has more than one {kind}.")
    _require(all(map(_flat, template.device_configuration.values())), _NOT_FLAT)
    for name in _references(document):
        _require(name in template.defaults or name == CERTIFICATE_ID, f"Parameter {name} is not declared.")
    return template


def build_plan(template: Template, parameters: Mapping[str, str], certificate_id: str | None) -> Plan:
    """Return the template evaluated with a device's parameters.

    Raises:
        InvalidError: a parameter is missing, or a function cannot be evaluated.
    """
    # What AWS itself knows cannot be given by a device.
    own = {CERTIFICATE_ID: certificate_id} if certificate_id else {}
    defaults = {name: value for name, value in template.defaults.items() if value is not None}
    evaluate = _Evaluation({**defaults, **parameters, **own}, template.mappings).value
    by_kind: dict[str, list[Resource]] = {kind: [] for kind in _PROPERTIES}
    for label, resource in template.resources.items():
        properties = {name: evaluate(value) for name, value in resource.properties.items() if name != "PolicyDocument"}
        if "PolicyDocument" in resource.properties:
            properties["PolicyDocument"] = _policy_document(resource.properties["PolicyDocument"], evaluate)
        for name, value in properties.items():
            wanted = _CONTAINERS.get(name, str)
            _require(isinstance(value, wanted), f"{label}: {name} must be a {wanted.__name__}.")
        by_kind[resource.kind].append(Resource(kind=resource.kind, properties=properties, overrides=resource.overrides))
    configuration = {name: evaluate(value) for name, value in template.device_configuration.items()}
    _require(all(isinstance(one, str) for one in configuration.values()), _NOT_FLAT)
    return Plan(
        things=tuple(by_kind["AWS::IoT::Thing"]),
        certificates=tuple(by_kind["AWS::IoT::Certificate"]),
        policies=tuple(by_kind["AWS::IoT::Policy"]),
        device_configuration=configuration,
    )


class _Evaluation:
    """The intrinsic functions over one device's parameters."""

    def __init__(self, parameters: Mapping[str, str], mappings: Mapping[str, Any]) -> None:
        self._parameters = parameters
        self._mappings = mappings
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }

    def value(self, raw: Any) -> Any:
        """Return a template value with its functions carried out.

        Raises:
            InvalidError: one cannot be.
        """
        if isinstance(raw, list):
            return [self.value(one) for one in raw]
        if not isinstance(raw, dict):
            return raw
        if len(raw) == 1:
            ((name, argument),) = raw.items()
            if function := self._functions.get(name):
                try:
                    return function(argument)
                except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
                    raise InvalidError(f"{name} cannot be evaluated: {json.dumps(argument)}") from error
        return {name: self.value(one) for name, one in raw.items()}

    def _ref(self, name: str) -> str:
        if name not in self._parameters:
            raise InvalidError(f"Parameter {name} is missing.")
        return self._parameters[name]

    def _join(self, argument: list[Any]) -> str:
        delimiter, parts = argument
        return str(delimiter).join(self.value(parts))

    def _select(self, argument: list[Any]) -> Any:
        index, items = argument
        chosen = self.value(items)[_index(self.value(index))]
        if chosen is None:
            raise ValueError("null selected")
        return chosen

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = self.value(argument)
        return self._mappings[name][first][second]

    def _split(self, argument: list[Any]) -> list[str]:
        delimiter, text = argument
        split: list[str] = self.value(text).split(delimiter)
        return split

    def _sub(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self.value(value) for name, value in given.items()}

        def replace(found: re.Match[str]) -> str:
            literal, name = found.groups()
            return f"${{{name}}}" if literal else str(own[name] if name in own else self._ref(name))

        return _SUBSTITUTED.sub(replace, text)


def _index(value: Any) -> int:
    index = int(value)
    if index < 0:
        raise ValueError("negative index")
    return index


def _flat(value: Any) -> bool:
    function = (
        isinstance(value, dict) and len(value) == 1 and (next(iter(value)) == "Ref" or "Fn::" in next(iter(value)))
    )
    return isinstance(value, str) or function


def _policy_document(raw: Any, evaluate: Callable[[Any], Any]) -> str:
    """Return a policy document as text; it may stand in the template as text or as an object."""
    if isinstance(raw, str):
        return raw
    document = evaluate(raw)
    return document if isinstance(document, str) else json.dumps(document)


def _resource(name: str, raw: Any) -> Resource:
    _require(isinstance(raw, dict) and not set(raw) - {"Type", "Properties", "OverrideSettings"}, f"Invalid {name}.")
    kind = raw.get("Type")
    _require(isinstance(kind, str) and kind in _PROPERTIES, f"Resource {name} has an unknown Type: {kind}.")
    properties, overrides = _object(raw, "Properties"), _object(raw, "OverrideSettings")
    if "CertificateID" in properties:  # so in the page's list, CertificateId in its examples
        properties["CertificateId"] = properties.pop("CertificateID")
    if left := _NOT_CARRIED & set(properties):
        raise NotEmulatedError(f"{', '.join(left)} in a provisioning template")
    unknown = set(properties) - _PROPERTIES[kind]
    _require(not unknown, f"Resource {name} has unknown properties: {', '.join(sorted(unknown))}.")
    if kind == "AWS::IoT::Policy":
        _require(len(properties) == 1, f"{name}: PolicyName or PolicyDocument, but not both, must be specified.")
        _require(not overrides, f"{name}: OverrideSettings are not available for policies.")
    settings = {_SETTINGS.get(setting, setting): action for setting, action in overrides.items()}
    for setting, action in settings.items():
        allowed = isinstance(action, str) and action in _ACTIONS and (action != "MERGE" or setting in _MERGEABLE)
        _require(setting in _SETTINGS.values() and allowed, f"{name}: invalid OverrideSettings {setting}: {action}.")
    return Resource(kind=kind, properties=properties, overrides=settings)


def _mappings(document: Mapping[str, Any]) -> dict[str, Any]:
    mappings = _object(document, "Mappings")
    for name, table in mappings.items():
        rows = list(table.values()) if isinstance(table, dict) else []
        _require(bool(rows) and all(isinstance(row, dict) for row in rows), f"Mapping {name} must have two levels.")
        functions = [value for row in rows for value in row.values() if isinstance(value, dict)]
        _require(not functions, f"Mapping {name} must not use functions.")
    return mappings


def _references(raw: Any) -> Iterator[str]:
    if isinstance(raw, list):
        for one in raw:
            yield from _references(one)
    elif isinstance(raw, dict):
        for name, one in raw.items():
            if name == "Ref" and len(raw) == 1 and isinstance(one, str):
                yield one
            elif name == "Fn::Sub":
                _require(bool(one), "Fn::Sub needs a text.")
                text, *given = one if isinstance(one, list) else [one]
                found = _SUBSTITUTED.findall(text) if isinstance(text, str) else ()
                own = [variable for values in given if isinstance(values, dict) for variable in values]
                yield from (variable for literal, variable in found if not literal and variable not in own)
                yield from _references(given)
            else:
                yield from _references(one)


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name, {})
    _require(isinstance(value, dict), f"{name} must be an object.")
    return dict(value)


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise InvalidError(message)
