"""I1 search."""

import secrets
from urllib.parse import urlencode

from pytest_bdd import given, then, when

from tests.e2e.features.steps.scene import Scene, says
from tests.e2e.features.steps.things import wait_for


@given(says("{who:w} says where the thermostat stands"))
def says_where(scene: Scene, who: str) -> None:
    scene.site = f"site-{secrets.token_hex(6)}"
    scene.person(who).ask("PATCH", scene.path, {"attributes": {"site": scene.site}})


def _search(scene: Scene, who: str, path: str = "/v1/devices", **query: str) -> None:
    """Search page by page until something is found or all was looked at; keep what the first such page answers."""
    cursor: dict[str, str] = {}
    while True:
        answer = scene.take(scene.person(who).call("GET", f"{path}?{urlencode({**query, **cursor})}"))
        if answer.status != 200 or answer.document["items"] or not answer.document["next_cursor"]:
            return
        cursor = {"cursor": answer.document["next_cursor"]}


def _search_until_found(scene: Scene, who: str, **query: str) -> None:
    """What a device says of itself is learnt a moment later."""

    def found() -> bool:
        _search(scene, who, **query)
        return bool(scene.said.document["items"])

    wait_for(f"something to be found by {query}", found)


@when(says("{who:w} searches by where it stands"))
def searches_by_attribute(scene: Scene, who: str) -> None:
    _search(scene, who, attribute=f"site={scene.site}")


@when(says("{who:w} searches for where nothing stands"))
def searches_for_nothing(scene: Scene, who: str) -> None:
    _search(scene, who, attribute=f"site={scene.site}-elsewhere")


@when(says("{who:w} searches for what is online"))
def searches_for_online(scene: Scene, who: str) -> None:
    _search_until_found(scene, who, status="online")


@when(says('{who:w} searches for the firmware "{firmware}"'))
def searches_by_firmware(scene: Scene, who: str, firmware: str) -> None:
    _search_until_found(scene, who, firmware=firmware)


@when(says("{who:w} searches the fleet by where it stands"))
def searches_the_fleet(scene: Scene, who: str) -> None:
    _search(scene, who, "/v1/fleet/devices", attribute=f"site={scene.site}")


@then("that thermostat is found, and no other")
def is_found(scene: Scene) -> None:
    assert scene.said.status == 200, scene.said
    assert [each["thing"] for each in scene.said.document["items"]] == [scene.thermostat.thing]


@then("nothing is found")
def nothing_is_found(scene: Scene) -> None:
    assert scene.said.status == 200, scene.said
    assert scene.said.document["items"] == []
