"""Things, thing types and whose principal is attached to which thing.

AWS IoT developer guide, "Managing things with the registry", "Thing types".
"""

from datetime import timedelta

from infra.local.iot.errors import ExistsError, InvalidError, NotEmulatedError, RefusedError
from infra.local.iot.registry.state import Answer, Ask, State, ThingRecord, ThingType, found, page

MAX_ATTRIBUTES = 50
MAX_ATTRIBUTES_UNTYPED = 3
MAX_SEARCHABLE = 3
"""Attributes that a thing type names as searchable. (API reference, "ThingTypeProperties")."""
EXCLUSIVE = "EXCLUSIVE_THING"
TYPE_DELETABLE_AFTER = timedelta(minutes=5)


def _kind(exclusive: bool) -> str:  # noqa: FBT001 - what the registry keeps
    return EXCLUSIVE if exclusive else f"NON_{EXCLUSIVE}"


class Things:
    """Operations on things and thing types."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_thing(self, ask: Ask) -> Answer:
        """Create a thing; the same again is a success, another of the same name is not."""
        if ask.get("billingGroupName"):
            raise NotEmulatedError("billing groups")
        name, type_name = ask["thingName"], ask.get("thingTypeName")
        attributes = {key: value for key, value in _attributes(ask).items() if value}
        known = self._state.things.get(name)
        if known and (known.type_name, known.attributes) != (type_name, attributes):
            raise ExistsError(f"Thing {name} already exists in account with different attributes")
        if not known:
            self._check(type_name, attributes)
            known = ThingRecord(name=name, id=self._state.ids(), type_name=type_name, attributes=attributes)
            self._state.things[name] = known
        return {"thingName": name, "thingArn": self._state.arn("thing", name), "thingId": known.id}

    def describe_thing(self, ask: Ask) -> Answer:
        """Return a thing."""
        thing = self._thing(ask)
        return {"defaultClientId": thing.name, "thingId": thing.id, **self._summary(thing)}

    def list_things(self, ask: Ask) -> Answer:
        """List things, all or by attribute or type."""
        name, value = ask.get("attributeName"), ask.get("attributeValue", "")
        prefix = ask.get("usePrefixAttributeValue") or "attributeValue" not in ask

        def wanted(thing: ThingRecord) -> bool:
            if ask.get("thingTypeName") not in {None, thing.type_name}:
                return False
            held = thing.attributes.get(name) if name else value
            return held is not None and (held.startswith(value) if prefix else held == value)

        chosen, token = page(filter(wanted, self._state.things.values()), ask)
        return {"things": [self._summary(thing) for thing in chosen], "nextToken": token}

    def update_thing(self, ask: Ask) -> Answer:
        """Change a thing's attributes (merged or replaced; an empty value removes) and type."""
        thing = self._thing(ask)
        _check_version(ask, thing.version, thing.name)
        if ask.get("removeThingType") and ask.get("thingTypeName"):
            raise InvalidError("Cannot set and remove the thing type in one request.")
        type_name = None if ask.get("removeThingType") else ask.get("thingTypeName", thing.type_name)
        attributes = dict(thing.attributes)
        if payload := ask.get("attributePayload"):
            merged = {**(attributes if payload.get("merge") else {}), **_attributes(ask)}
            attributes = {key: value for key, value in merged.items() if value}
        self._check(type_name, attributes, unchanged_type=type_name == thing.type_name)
        thing.type_name, thing.attributes, thing.version = type_name, attributes, thing.version + 1
        return {}

    def delete_thing(self, ask: Ask) -> Answer:
        """Delete a thing no principal is attached to; one that is not there is a success."""
        thing = self._state.things.get(ask["thingName"])
        if thing:
            _check_version(ask, thing.version, thing.name)
            if thing.principals:
                message = f"Cannot delete. Thing {thing.name} is still attached to one or more principals"
                raise InvalidError(message)
            del self._state.things[thing.name]
        return {}

    def attach_thing_principal(self, ask: Ask) -> Answer:
        """Attach a certificate or identity to a thing; a certificate also exclusively, if it has no other thing."""
        thing, principal = self._thing(ask), self._state.principal(ask["principal"])
        exclusive = ask.get("thingPrincipalType") == EXCLUSIVE
        if exclusive and ":cert/" not in principal:
            raise InvalidError("Only a certificate can be attached to a thing exclusively")
        others = [one for one in self._state.things_of(principal) if one is not thing]
        if others and (exclusive or others[0].principals[principal]):
            raise InvalidError(
                f"Principal {principal} is attached to thing {others[0].name}, or one of both exclusively"
            )
        thing.principals[principal] = exclusive
        return {}

    def detach_thing_principal(self, ask: Ask) -> Answer:
        """Detach a certificate or identity from a thing."""
        self._thing(ask).principals.pop(self._state.principal(ask["principal"]), None)
        return {}

    def list_thing_principals(self, ask: Ask) -> Answer:
        """List what is attached to a thing."""
        principals, token = page(self._thing(ask).principals, ask)
        return {"principals": principals, "nextToken": token}

    def list_thing_principals_v2(self, ask: Ask) -> Answer:
        """List what is attached to a thing, with the kind of attachment."""
        attached = self._thing(ask).principals
        wanted = [one for one in attached if ask.get("thingPrincipalType") in {None, _kind(attached[one])}]
        principals, token = page(wanted, ask)
        listed = [{"principal": one, "thingPrincipalType": _kind(attached[one])} for one in principals]
        return {"thingPrincipalObjects": listed, "nextToken": token}

    def list_principal_things(self, ask: Ask) -> Answer:
        """List the things a principal is attached to."""
        things, token = page(self._state.things_of(self._state.principal(ask["principal"])), ask)
        return {"things": [thing.name for thing in things], "nextToken": token}

    def list_principal_things_v2(self, ask: Ask) -> Answer:
        """List the things a principal is attached to, with the kind of attachment."""
        principal = self._state.principal(ask["principal"])
        attached = {one.name: _kind(one.principals[principal]) for one in self._state.things_of(principal)}
        wanted = [name for name, kind in attached.items() if ask.get("thingPrincipalType") in {None, kind}]
        things, token = page(wanted, ask)
        listed = [{"thingName": name, "thingPrincipalType": attached[name]} for name in things]
        return {"principalThingObjects": listed, "nextToken": token}

    def create_thing_type(self, ask: Ask) -> Answer:
        """Create a thing type; the same again is a success."""
        name, properties = ask["thingTypeName"], _type_properties(ask)
        known = self._state.types.get(name)
        if known and known.properties != properties:
            raise ExistsError(f"Thing type {name} already exists in account with different properties")
        if not known:
            now = self._state.clock.now()
            known = ThingType(name=name, id=self._state.ids(), properties=properties, created_at=now)
            self._state.types[name] = known
        return {"thingTypeName": name, "thingTypeArn": self._state.arn("thingtype", name), "thingTypeId": known.id}

    def describe_thing_type(self, ask: Ask) -> Answer:
        """Return a thing type."""
        kind = found(self._state.types, ask["thingTypeName"], "Thing type")
        return {"thingTypeId": kind.id, **self._type_summary(kind)}

    def list_thing_types(self, ask: Ask) -> Answer:
        """List thing types."""
        name = ask.get("thingTypeName")
        kinds, token = page((kind for kind in self._state.types.values() if name in {None, kind.name}), ask)
        return {"thingTypes": [self._type_summary(kind) for kind in kinds], "nextToken": token}

    def update_thing_type(self, ask: Ask) -> Answer:
        """Change a thing type's description and searchable attributes."""
        kind = found(self._state.types, ask["thingTypeName"], "Thing type")
        kind.properties = {**kind.properties, **_type_properties(ask)}
        return {}

    def deprecate_thing_type(self, ask: Ask) -> Answer:
        """Deprecate a thing type, or undo it: no new thing may take a deprecated one."""
        kind = found(self._state.types, ask["thingTypeName"], "Thing type")
        kind.deprecated_at = None if ask.get("undoDeprecate") else self._state.clock.now()
        return {}

    def delete_thing_type(self, ask: Ask) -> Answer:
        """Delete a thing type that has been deprecated for five minutes and that no thing has."""
        kind = found(self._state.types, ask["thingTypeName"], "Thing type")
        now = self._state.clock.now()
        if kind.deprecated_at is None or now - kind.deprecated_at < TYPE_DELETABLE_AFTER:
            message = f"Cannot delete thing type : {kind.name}. Please deprecate it and wait for 5 minutes"
            raise InvalidError(message)
        if any(thing.type_name == kind.name for thing in self._state.things.values()):
            raise InvalidError(f"Cannot delete thing type : {kind.name}. It is associated with things")
        del self._state.types[kind.name]
        return {}

    def _thing(self, ask: Ask) -> ThingRecord:
        return found(self._state.things, ask["thingName"], "Thing")

    def _summary(self, thing: ThingRecord) -> Answer:
        return {
            "thingName": thing.name,
            "thingArn": self._state.arn("thing", thing.name),
            "thingTypeName": thing.type_name,
            "attributes": thing.attributes,
            "version": thing.version,
        }

    def _type_summary(self, kind: ThingType) -> Answer:
        return {
            "thingTypeName": kind.name,
            "thingTypeArn": self._state.arn("thingtype", kind.name),
            "thingTypeProperties": kind.properties,
            "thingTypeMetadata": {
                "deprecated": kind.deprecated_at is not None,
                "creationDate": kind.created_at.timestamp(),
                **({"deprecationDate": kind.deprecated_at.timestamp()} if kind.deprecated_at else {}),
            },
        }

    def _check(self, type_name: str | None, attributes: dict[str, str], *, unchanged_type: bool = False) -> None:
        if type_name and not unchanged_type:
            kind = found(self._state.types, type_name, "Thing type")
            if kind.deprecated_at:
                raise InvalidError(f"Can not create new thing with deprecated thing type:{type_name}")
        limit = MAX_ATTRIBUTES if type_name else MAX_ATTRIBUTES_UNTYPED
        if len(attributes) > limit:
            raise InvalidError(f"Attributes exceed the limit of {limit}")


def _attributes(ask: Ask) -> dict[str, str]:
    return dict(ask.get("attributePayload", {}).get("attributes", {}))


def _type_properties(ask: Ask) -> Answer:
    properties = dict(ask.get("thingTypeProperties", {}))
    if "mqtt5Configuration" in properties:
        raise NotEmulatedError("thing types with mqtt5Configuration")
    if len(properties.get("searchableAttributes", ())) > MAX_SEARCHABLE:
        raise InvalidError(f"A thing type has at most {MAX_SEARCHABLE} searchable attributes.")
    return properties


def _check_version(ask: Ask, version: int, name: str) -> None:
    if ask.get("expectedVersion") not in {None, version}:
        message = f"The version for {name} does not match the expected version."
        raise RefusedError("VersionConflictException", 409, message)
