"""A matrix that finds nothing proves nothing: leaks are planted, as somebody might make them, and each is reported."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from backend.adapters.commands import DynamoCommands
from backend.adapters.items import DynamoItems
from backend.adapters.presence import DynamoPresences
from backend.domain import access as roles
from backend.domain.access import Action, Caller, Role
from backend.domain.paging import Page
from backend.domain.search import Wanted
from backend.errors import ForbiddenError, NotFoundError
from backend.runtime import http
from backend.services.access import Access, Granted
from backend.services.devices import DeviceBook
from backend.services.search import Search
from tests.integration.backend.deployed import ARN, deployed
from tests.integration.backend.gateway import serving
from tests.integration.backend.matrix import cells, cursors, live, nobody, topics
from tests.integration.backend.matrix.scene import Scene, make_scene
from tests.integration.backend.world import World

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return make_scene(world)


def _everybody_owns_everything(patch: Patch, _scene: Scene) -> None:
    patch.setattr(Access, "role", lambda _self, _caller, _device: Role.OWNER)


def _a_stranger_is_told_that_it_exists(patch: Patch, _scene: Scene) -> None:
    asked = Access.device

    def device(self: Access, caller: Caller, thing: str, action: Action) -> Granted:
        try:
            return asked(self, caller, thing, action)
        except NotFoundError:
            if self._devices.find(thing) is None:
                raise
            raise ForbiddenError("It is not yours.") from None

    patch.setattr(Access, "device", device)


def _a_stranger_is_told_in_other_words(patch: Patch, _scene: Scene) -> None:
    asked = Access.device

    def device(self: Access, caller: Caller, thing: str, action: Action) -> Granted:
        if self._devices.find(thing) is None:
            raise NotFoundError("There is no such device at all.")
        return asked(self, caller, thing, action)

    patch.setattr(Access, "device", device)


def _a_stranger_is_told_by_a_header(patch: Patch, scene: Scene) -> None:
    serve = http.Routes.serve

    def tell(self: http.Routes, event: Mapping[str, Any]) -> dict[str, Any]:
        answer = serve(self, event)
        known = event["pathParameters"].get("thing") in scene.world.secrets
        return {**answer, "headers": {**answer["headers"], "x-cache": "hit" if known else "miss"}}

    patch.setattr(http.Routes, "serve", tell)


def _operators_manage(patch: Patch, _scene: Scene) -> None:
    patch.setitem(roles.ALLOWED, Role.OPERATOR, frozenset(Action))


def _everybodys_devices_are_listed(patch: Patch, scene: Scene) -> None:
    def mine(self: Search, _caller: Caller, _wanted: Wanted, *, limit: int, after: str | None) -> Page[Granted]:
        found = self._devices.find_many([scene.own.thing, scene.other.thing])
        return Page(items=[Granted(device=device, role=Role.VIEWER) for device in found.values()])

    patch.setattr(Search, "mine", mine)


def _commands_are_found_under_any_device(patch: Patch, scene: Scene) -> None:
    find = DynamoCommands.find
    things = (scene.own.thing, scene.other.thing)
    patch.setattr(
        DynamoCommands,
        "find",
        lambda self, _thing, command: next(filter(None, (find(self, thing, command) for thing in things)), None),
    )


def _items_are_found_by_id_alone(patch: Patch, scene: Scene) -> None:
    find, other = DynamoItems.find, scene.other.owner.user
    patch.setattr(
        DynamoItems,
        "find",
        lambda self, owner, table, item: find(self, owner, table, item) or find(self, other, table, item),
    )


def _items_of_all_are_listed(patch: Patch, scene: Scene) -> None:
    listed, other = DynamoItems.list, scene.other.owner.user

    def both(self: DynamoItems, owner: str, table: str, *, limit: int, after: str | None) -> Page[Any]:
        pages = [listed(self, each, table, limit=limit, after=after) for each in (owner, other)]
        return Page(items=[item for page in pages for item in page.items])

    patch.setattr(DynamoItems, "list", both)


def _it_is_done_before_it_is_refused(patch: Patch, _scene: Scene) -> None:
    def release(self: DeviceBook, caller: Caller, thing: str) -> None:
        device = self._devices.find(thing)
        if device is not None:
            self._store.commit(*self.releasing(caller, device, "released"))
        self._access.device(caller, thing, Action.MANAGE)

    patch.setattr(DeviceBook, "release", release)


def _any_offer_can_be_taken_by_its_id(patch: Patch, _scene: Scene) -> None:
    patch.setattr("backend.services.sharing.same_email", lambda _one, _other: True)


def _claiming_tells_which_devices_there_are(patch: Patch, _scene: Scene) -> None:
    claim = DeviceBook.claim

    def told(self: DeviceBook, caller: Caller, thing: str, secret: str) -> Granted:
        if self._devices.find(thing) is None:
            raise NotFoundError("There is no such device.")
        return claim(self, caller, thing, secret)

    patch.setattr(DeviceBook, "claim", told)


ROUTES: Mapping[Callable[[Patch, Scene], None], tuple[list[str], str]] = {
    _everybody_owns_everything: (["get_device"], "get_device by stranger of own: answers 200, not 404"),
    _a_stranger_is_told_that_it_exists: (["get_device"], "get_device by former of own: answers 403, not 404"),
    _a_stranger_is_told_in_other_words: (["latest"], "latest by viewer of other: is not told the same"),
    _a_stranger_is_told_by_a_header: (["shadow"], "shadow by stranger of own: is not told the same"),
    _operators_manage: (["change_device"], "change_device by operator of own: answers 200, not 403"),
    _everybodys_devices_are_listed: (["list_devices"], "list_devices by stranger of nothing: shows "),
    _commands_are_found_under_any_device: (["get_command"], "get_command by viewer of own/other: answers 200"),
    # Only reading: what writes on top of somebody else's version tries again for a long time.
    _items_are_found_by_id_alone: (["get_item"], "get_item by operator of other: shows mark-of-neighbour"),
    _items_of_all_are_listed: (["list_items", "export"], "export by stranger of nothing: shows mark-of-neighbour"),
    _it_is_done_before_it_is_refused: (["release"], "release by viewer of own: is refused, and changes"),
    _any_offer_can_be_taken_by_its_id: (["accept"], "accept by stranger of other: answers 200, not 404"),
    _claiming_tells_which_devices_there_are: (["claim"], "claim by stranger of absent: answers 404, not 403"),
}


@pytest.mark.parametrize("plant", ROUTES, ids=lambda plant: plant.__name__.strip("_"))
def test_a_route_that_leaks_is_caught(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Patch, Scene], None]
) -> None:
    operations, told = ROUTES[plant]
    assert cells.judge(scene, operations).leaks == []
    plant(monkeypatch, scene)
    found = cells.judge(scene, operations).leaks
    monkeypatch.undo()
    scene.start.restore()
    assert [leak for leak in found if leak.startswith(told)], found


def test_a_cursor_that_serves_anybody_is_caught(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.Request, "_binding", lambda _self: [])
    _, wrong = cursors.judge(scene)
    assert "readings: cursor for viewer: 200" in wrong
    assert "readings: cursor for another device: 200" in wrong


def test_a_route_without_an_authorizer_is_caught(scene: Scene) -> None:
    definition = deepcopy(deployed().api())
    del definition["paths"]["/v1/devices/{thing}"]["get"]["security"]
    with serving(definition) as gateway:
        _, wrong = nobody.judge(gateway, scene, ["get_device", "shadow"])
    assert wrong
    assert all(leak.startswith("get_device by nobody with") for leak in wrong), wrong


def test_a_door_that_takes_id_tokens_is_caught(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(event: Mapping[str, Any]) -> Caller:
        return Caller(user=event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"])

    monkeypatch.setattr(http, "load_caller", load)
    with serving() as gateway:
        _, wrong = nobody.judge(gateway, scene, ["me"])
    assert wrong
    assert all(leak.startswith("me by nobody with ID token") for leak in wrong), wrong


POLICIES: Mapping[str, tuple[str, str, str, str]] = {
    "devices speak as others": (
        "device", "topic/cmd/dev/${iot:Connection.Thing.ThingName}/*/res", "topic/cmd/dev/*/res",
        "device may iot:Publish topic/cmd/dev/thing-other/x/res",
    ),
    "devices hear others": (
        "device", "topicfilter/cmd/dev/${iot:Connection.Thing.ThingName}/+/req", "topicfilter/cmd/dev/*",
        "device may iot:Subscribe topicfilter/cmd/dev/+/+/req",
    ),
    "a claim connects as any device": (
        "claim", "client/claim-dev-*", "client/*", "claim may iot:Connect client/thing-other",
    ),
    "phones hear what others may see, by token": (
        "token", "topicfilter/live/dev/user-own/*", "topicfilter/live/dev/*",
        "phone by token may iot:Subscribe topicfilter/live/dev/#",
    ),
    "phones hear what others may see, by credentials": (
        "identity", "topic/live/dev/user-own/*", "topic/live/dev/*",
        "phone by credentials may iot:Receive topic/live/dev/user-other/x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("plant", POLICIES)
def test_a_policy_that_leaks_is_caught(plant: str) -> None:
    name, narrow, wide, told = POLICIES[plant]
    policies = topics.Policies.of(deployed())
    document = deepcopy(getattr(policies, name))
    _widen(document, ARN + narrow, ARN + wide)
    leaking = replace(policies, **{name: document})
    assert told in topics.judge(leaking)[1]
    assert topics.without_row(leaking)


def _widen(document: Any, narrow: str, wide: str) -> None:
    for statement in document["Statement"]:
        resources = statement["Resource"]
        if isinstance(resources, str):
            statement["Resource"] = wide if resources == narrow else resources
        else:
            statement["Resource"] = [wide if each == narrow else each for each in resources]


def test_a_former_member_who_still_hears_is_caught(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    people, former = Access.people, scene.people["former"].user
    monkeypatch.setattr(Access, "people", lambda self, device, action: people(self, device, action) | {former})
    _, wrong = live.judge(scene)
    assert "former, connected, hears 1 times of urgent of the own device" in wrong


def test_messages_to_who_is_not_connected_are_caught(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Always:
        connected = True

    monkeypatch.setattr(DynamoPresences, "of_subject", lambda _self, _subject: [Always()])
    _, wrong = live.judge(scene)
    assert "viewer, away, hears 1 times of presence of the own device" in wrong
