"""Static thing groups. AWS IoT developer guide, "Static thing groups"."""

from infra.local.iot.errors import ExistsError, InvalidError, RefusedError
from infra.local.iot.registry.state import Answer, Ask, Group, State, ThingRecord, found, page

MAX_GROUPS_OF_A_THING = 10
MAX_DEPTH = 7
"""Of a hierarchy of groups. (AWS IoT Core thing group quotas)."""


class Groups:
    """Operations on static thing groups."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_thing_group(self, ask: Ask) -> Answer:
        """Create a group, below a parent or at the top; the same again is a success."""
        name, parent = ask["thingGroupName"], ask.get("parentGroupName")
        properties = dict(ask.get("thingGroupProperties", {}))
        if parent:
            found(self._state.groups, parent, "Thing group")
            if len(self._state.lineage(parent)) >= MAX_DEPTH:
                raise InvalidError(f"Thing group {name} would stand more than {MAX_DEPTH} levels deep")
        known = self._state.groups.get(name)
        if known and (known.parent, known.properties) != (parent, properties):
            raise ExistsError(f"Thing Group {name} already exists in current account with different properties")
        if not known:
            now = self._state.clock.now()
            known = Group(name=name, id=self._state.ids(), parent=parent, properties=properties, created_at=now)
            self._state.groups[name] = known
        return {"thingGroupName": name, "thingGroupArn": self._arn(name), "thingGroupId": known.id}

    def describe_thing_group(self, ask: Ask) -> Answer:
        """Return a group with its ancestors."""
        group = self._group(ask)
        ancestors = self._state.lineage(group.parent)[::-1]
        return {
            "thingGroupName": group.name,
            "thingGroupId": group.id,
            "thingGroupArn": self._arn(group.name),
            "version": group.version,
            "thingGroupProperties": group.properties,
            "thingGroupMetadata": {
                "creationDate": group.created_at.timestamp(),
                **({"parentGroupName": group.parent} if group.parent else {}),
                "rootToParentThingGroups": [self._name(ancestor.name) for ancestor in ancestors],
            },
        }

    def update_thing_group(self, ask: Ask) -> Answer:
        """Change a group's description and attributes."""
        group = self._group(ask)
        self._check_version(ask, group)
        changes = dict(ask.get("thingGroupProperties", {}))
        payload = changes.pop("attributePayload", None)
        group.properties = {**group.properties, **changes}
        if payload is not None:
            before = group.properties.get("attributePayload", {}).get("attributes", {}) if payload.get("merge") else {}
            merged = {**before, **payload.get("attributes", {})}
            group.properties["attributePayload"] = {
                "attributes": {key: value for key, value in merged.items() if value}
            }
        group.version += 1
        return {"version": group.version}

    def delete_thing_group(self, ask: Ask) -> Answer:
        """Delete a group that has no children; one that is not there is a success."""
        group = self._state.groups.get(ask["thingGroupName"])
        if group:
            self._check_version(ask, group)
            if any(other.parent == group.name for other in self._state.groups.values()):
                message = f"Cannot delete thing group : {group.name} when there are still child groups attached to it"
                raise InvalidError(message)
            del self._state.groups[group.name]
            for thing in self._state.things.values():
                thing.groups.pop(group.name, None)
            for policy in self._state.policies.values():
                policy.targets.pop(self._arn(group.name), None)
        return {}

    def list_thing_groups(self, ask: Ask) -> Answer:
        """List groups: by parent (with its descendants, if recursive), by prefix."""
        parent, prefix = ask.get("parentGroup"), ask.get("namePrefixFilter", "")

        def below(group: Group) -> bool:
            if parent is None:
                return ask.get("recursive", True) or group.parent is None
            line = self._state.lineage(group.parent)
            return parent in [one.name for one in (line if ask.get("recursive", True) else line[:1])]

        if parent:
            found(self._state.groups, parent, "Thing group")
        wanted = (one for one in self._state.groups.values() if one.name.startswith(prefix) and below(one))
        groups, token = page(wanted, ask)
        return {"thingGroups": [self._name(group.name) for group in groups], "nextToken": token}

    def add_thing_to_thing_group(self, ask: Ask) -> Answer:
        """Put a thing into a group: at most ten, and no two of one hierarchy."""
        self._join(self._thing(ask), self._group(ask))
        return {}

    def remove_thing_from_thing_group(self, ask: Ask) -> Answer:
        """Take a thing out of a group."""
        self._thing(ask).groups.pop(self._group(ask).name, None)
        return {}

    def update_thing_groups_for_thing(self, ask: Ask) -> Answer:
        """Put a thing into groups and take it out of others."""
        thing = self._thing(ask)
        leaving = [self._group({"thingGroupName": name}).name for name in ask.get("thingGroupsToRemove", ())]
        joining = [self._group({"thingGroupName": name}) for name in ask.get("thingGroupsToAdd", ())]
        before = dict(thing.groups)
        for name in leaving:
            thing.groups.pop(name, None)
        try:
            for group in joining:
                self._join(thing, group)
        except InvalidError:
            thing.groups = before
            raise
        return {}

    def list_things_in_thing_group(self, ask: Ask) -> Answer:
        """List the things of a group, with those of its descendants if recursive."""
        group = self._group(ask)

        def inside(thing: ThingRecord) -> bool:
            lines = [self._state.lineage(name) for name in thing.groups]
            return any(group in (line if ask.get("recursive") else line[:1]) for line in lines)

        things, token = page(filter(inside, self._state.things.values()), ask)
        return {"things": [thing.name for thing in things], "nextToken": token}

    def list_thing_groups_for_thing(self, ask: Ask) -> Answer:
        """List the groups that hold a thing."""
        names, token = page(self._thing(ask).groups, ask)
        return {"thingGroups": [self._name(name) for name in names], "nextToken": token}

    def _join(self, thing: ThingRecord, group: Group) -> None:
        if group.name in thing.groups:
            return
        if len(thing.groups) >= MAX_GROUPS_OF_A_THING:
            raise InvalidError(f"Thing {thing.name} is already in {MAX_GROUPS_OF_A_THING} thing groups")
        root = self._state.lineage(group.name)[-1].name
        if root in {self._state.lineage(name)[-1].name for name in thing.groups}:
            message = f"Thing {thing.name} cannot be added to more than one thing group in the hierarchy of {root}"
            raise InvalidError(message)
        thing.groups[group.name] = None

    def _thing(self, ask: Ask) -> ThingRecord:
        name = ask.get("thingName") or ask.get("thingArn", "").rpartition("/")[2]
        if not name:
            raise InvalidError("A thing's name or ARN is required.")
        return found(self._state.things, name, "Thing")

    def _group(self, ask: Ask) -> Group:
        name = ask.get("thingGroupName") or ask.get("thingGroupArn", "").rpartition("/")[2]
        if not name:
            raise InvalidError("A thing group's name or ARN is required.")
        return found(self._state.groups, name, "Thing group")

    def _arn(self, name: str) -> str:
        return self._state.arn("thinggroup", name)

    def _name(self, name: str) -> Answer:
        return {"groupName": name, "groupArn": self._arn(name)}

    def _check_version(self, ask: Ask, group: Group) -> None:
        if ask.get("expectedVersion") not in {None, group.version}:
            message = f"The version for {group.name} does not match the expected version."
            raise RefusedError("VersionConflictException", 409, message)
