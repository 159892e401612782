"""The rows and cells of live messages: of what happens to a device, who hears, by way of ``live/{stage}/{user}/…``.

A new kind of message fails until its row is written here.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import backend
from tests.integration.backend.matrix.scene import ABSENT, MEMBERS, Scene
from tests.unit.backend.examples import document

Happening = Callable[[Scene, str], None]


def _urgent(scene: Scene, thing: str) -> None:
    scene.world.urgent(thing, document())


def _presence(scene: Scene, thing: str) -> None:
    scene.world.connect(thing)


def _commands(scene: Scene, thing: str) -> None:
    side = scene.own if thing == scene.own.thing else scene.other
    scene.world.answer(thing, {"id": side.command, "state": "ACKED"})


ROWS: Mapping[str, Happening] = {"urgent": _urgent, "presence": _presence, "commands": _commands}
"""What happens, by the kind of message that tells of it. Those who hear are always the members who are connected."""


def kinds() -> set[str]:
    """Return every kind of live message that the backend's code sends."""
    found = set()
    for path in Path(backend.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "tell":
                assert isinstance(node.args[1], ast.Constant), f"{path}:{node.lineno}: the kind is not a plain text"
                found.add(str(node.args[1].value))
    return found


def judge(scene: Scene) -> tuple[int, list[str]]:
    """Return how many cells there are, and who hears what they should not, or does not hear what they should."""
    people = {**{role: person.user for role, person in scene.people.items()}, "neighbour": scene.other.owner.user}
    count, wrong = 0, []
    for kind, connected, (whose, thing) in _situations(scene):
        scene.start.restore()
        for user in people.values() if connected else ():
            scene.world.connect(f"app-{user}-phone")
        scene.world.iot.published.clear()
        ROWS[kind](scene, thing)
        heard = [topic for topic, _ in scene.world.iot.published if topic.startswith("live/")]
        audience = {"own": MEMBERS, "other": ("neighbour",), "absent": ()}[whose]
        for role, user in people.items():
            count += 1
            times = heard.count(f"live/dev/{user}/{kind}")
            if times != (connected and role in audience):
                state = "connected" if connected else "away"
                wrong.append(f"{role}, {state}, hears {times} times of {kind} of the {whose} device")
        strays = {topic for topic in heard if topic.split("/")[2] not in people.values()}
        wrong += [f"{topic} of the {whose} device is nobody's" for topic in strays]
    scene.start.restore()
    return count, wrong


def _situations(scene: Scene) -> Iterator[tuple[str, bool, tuple[str, str]]]:
    for kind in ROWS:
        for connected in (True, False):
            for whose in {"own": scene.own.thing, "other": scene.other.thing, "absent": ABSENT}.items():
                yield kind, connected, whose
