"""B1 the original contract, B2 items, B4 configuration, B5 idempotency."""

import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pytest_bdd import given, step, then, when

from tests.e2e.features.steps.scene import Scene, says


@given(says("the identities of {one:w} and {other:w} are tied to them"))
def identities_are_tied(scene: Scene, one: str, other: str) -> None:
    for who in (one, other):
        if not scene.person(who).identity:
            scene.person(who).tie_identity()


@given(says('the table "{table}" of {who:w} is empty'))
def table_is_empty(scene: Scene, table: str, who: str) -> None:
    person = scene.person(who)
    for item in person.ask("GET", f"/v1/items/{table}?limit=100")["items"]:
        person.ask("DELETE", f"/v1/items/{table}/{item['id']}")


def _send(scene: Scene, who: str, way: str, envelope: Any) -> Any:
    """Send an envelope; return the result, or what was said instead under ``errorMessage``."""
    if way == "invocation":
        return scene.person(who).invoke(envelope)
    answer = scene.take(scene.person(who).call("POST", "/v1/mobile", envelope))
    return answer.document["result"] if answer.status == 200 else {"errorMessage": answer.document["detail"]}


@when(says("{who:w} sends by {way:w} {envelope:json}"))
def sends(scene: Scene, who: str, way: str, envelope: Any) -> None:
    scene.result = _send(scene, who, way, envelope)


@when(says("{who:w} invokes with a client context that names {other:w} {envelope:json}"))
def invokes_with_a_forged_context(scene: Scene, who: str, other: str, envelope: Any) -> None:
    victim = scene.person(other)
    lie = {"cognito_identity_id": victim.identity, "cognitoIdentityId": victim.identity, "sub": victim.user}
    context = {"client": {"installation_id": victim.identity}, "custom": lie, "env": lie, "identity": lie}
    scene.result = scene.person(who).invoke({**envelope, "identity": lie, "context": lie}, context=context)


@then(says("the result is {wanted:json}"))
def result_is(scene: Scene, wanted: Any) -> None:
    assert scene.result == wanted


@then(says('it is refused with "{words}"'))
@then(says("it is refused with '{words}'"))
def is_refused(scene: Scene, words: str) -> None:
    assert words in scene.result["errorMessage"]


@then(says("{who:w} may invoke no other function"))
def may_invoke_no_other(scene: Scene, who: str) -> None:
    for function in (scene.configuration.outputs[name] for name in ("RegistryFunctionName", "TelemetryFunctionName")):
        with pytest.raises(ClientError, match="AccessDenied"):
            scene.person(who).invoke({}, function=function)


@given(says('{who:w} keeps {count:d} items in "{table}"'))
def keeps_items(scene: Scene, who: str, count: int, table: str) -> None:
    for number in range(count):
        scene.person(who).ask("PUT", f"/v1/items/{table}/item-{number}", {"body": {"n": number}})


@then(says('the list of "{table}" by {way:w} in pages of {size:d} has the {count:d} items'))
def list_has_pages(scene: Scene, table: str, way: str, size: int, count: int) -> None:
    found: list[str] = []
    start: dict[str, Any] = {}
    while True:
        page = _send(scene, "Ann", way, {"operation": "list", "tableName": table, "payload": {"Limit": size, **start}})
        assert page["Count"] == len(page["Items"]) <= size
        found += [item["id"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == [f"item-{number}" for number in range(count)]


@step(says('{who:w} keeps the item "{item}" in "{table}" as {body:json}'))
def keeps_item(scene: Scene, who: str, item: str, table: str, body: Any) -> None:
    scene.person(who).ask("PUT", f"/v1/items/{table}/{item}", {"body": body})


@when(says('{who:w} deletes the item "{item}" from "{table}"'))
def deletes_item(scene: Scene, who: str, item: str, table: str) -> None:
    scene.person(who).ask("DELETE", f"/v1/items/{table}/{item}")


@when(says('{who:w} writes {body:json} to "{item}" in "{table}" on version {version:d}'))
def writes_on_version(scene: Scene, who: str, body: Any, item: str, table: str, version: int) -> None:
    """Write an item that was read under a version: counted from where it begins, since a deleted one goes on."""
    person, path = scene.person(who), f"/v1/items/{table}/{item}"
    if version == 1 and "item" not in person.etags:
        person.etags["item"] = person.call("GET", path).headers["etag"]
    etag = '"0"' if version == 0 else person.etags["item"]
    scene.take(person.call("PUT", path, {"body": body}, if_match=etag))


@then(says("the conflict shows {yours:json} as hers and {stored:json} as stored in version {version:d}"))
def conflict_shows(scene: Scene, yours: Any, stored: Any, version: int) -> None:
    document = scene.said.document
    assert document["yours"] == yours
    assert document["stored"]["body"] == stored
    assert document["stored"]["version"] == int(scene.person("Ann").etags.pop("item").strip('"')) + 1


@given(says('{who:w}\'s phone is in sync with "{table}"'))
def is_in_sync(scene: Scene, who: str, table: str) -> None:
    _changes(scene, who, table)


def _changes(scene: Scene, who: str, table: str) -> list[str]:
    """Return what changed since the last look, and look from here next time."""
    found: list[str] = []
    while True:
        page = scene.person(who).ask("GET", f"/v1/items/{table}?since={scene.since}")
        scene.since = page["next_since"]
        if not page["items"]:
            return found
        found += [f"{item['id']}{' (deleted)' if item['deleted'] else ''}" for item in page["items"]]


@then(says('the changes in "{table}" since then are "{changes}"'))
def changes_are(scene: Scene, table: str, changes: str) -> None:
    assert ", ".join(_changes(scene, "Ann", table)) == changes


@then(says('there are no changes in "{table}" since then'))
def no_changes(scene: Scene, table: str) -> None:
    assert _changes(scene, "Ann", table) == []


@then(says('the item "{item}" in "{table}" does not exist for {who:w}'))
def item_does_not_exist(scene: Scene, item: str, table: str, who: str) -> None:
    assert scene.person(who).call("GET", f"/v1/items/{table}/{item}").status == 404


@then(says("the configuration that {who:w} reads has a version and a minimum app version"))
def configuration_has(scene: Scene, who: str) -> None:
    document = scene.person(who).ask("GET", "/v1/config")
    assert isinstance(document["version"], int)
    assert document["minimum_app_version"]


@when(says("an operator stores the next version of the configuration with {settings:json}"))
def stores_configuration(scene: Scene, settings: Any) -> None:
    version = scene.person("Ann").ask("GET", "/v1/config")["version"] + 1
    scene.result = scene.operator.registry(operation="configure", version=version, settings=settings)


@then(says("the configuration that {who:w} reads says {wanted:json}"))
def configuration_says(scene: Scene, who: str, wanted: Any) -> None:
    assert wanted.items() <= scene.person(who).ask("GET", "/v1/config").items()


@then(says('the operator is refused, and "{name}" is named'))
def operator_is_refused(scene: Scene, name: str) -> None:
    assert name in scene.result["errorMessage"]


@when(says('{who:w} makes a room "{name}" under the key "{key}"'))
def makes_a_room(scene: Scene, who: str, name: str, key: str) -> None:
    scene.invitation = {key: f"{key}-{secrets.token_hex(6)}"}
    makes_a_room_again(scene, who, name, key)


@when(says('{who:w} makes a room "{name}" under the key "{key}" again'))
def makes_a_room_again(scene: Scene, who: str, name: str, key: str) -> None:
    scene.take(scene.person(who).call("POST", "/v1/rooms", {"name": name}, key=scene.invitation[key]))


@then("both answers are the same")
def same_answers(scene: Scene) -> None:
    assert scene.before is not None
    assert (scene.said.status, scene.said.document) == (scene.before.status, scene.before.document)


@then(says('{who:w} has one room "{name}"'))
def has_one_room(scene: Scene, who: str, name: str) -> None:
    assert _rooms(scene, who).count(name) == 1


@then(says('{who:w} has no room "{name}"'))
def has_no_room(scene: Scene, who: str, name: str) -> None:
    assert name not in _rooms(scene, who)


def _rooms(scene: Scene, who: str) -> list[str]:
    return [room["name"] for room in scene.person(who).ask("GET", "/v1/rooms?limit=100")["items"]]
