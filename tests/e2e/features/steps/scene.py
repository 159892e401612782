"""What one scenario is about: who is there, which device, what was answered last."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_bdd import parsers

from tests.e2e.features.steps.configuration import Configuration
from tests.e2e.features.steps.people import Answer, Person
from tests.e2e.features.steps.things import Listener, Operator, Thermostat


def says(sentence: str) -> parsers.parse:
    """Return the pattern of a sentence; ``{name:w}`` is one word, ``{name:json}`` a document."""
    return parsers.parse(sentence, extra_types={"json": json.loads})


@dataclass
class Neighbourhood:
    """People who are there for the whole session, so that not every scenario waits until somebody has joined."""

    configuration: Configuration
    operator: Operator
    people: dict[str, Person] = field(default_factory=dict)

    def signed_in(self, name: str) -> Person:
        """Return somebody who is signed in, from an earlier scenario if they were."""
        if name not in self.people:
            self.people[name] = self.newcomer(name)
        return self.people[name]

    def newcomer(self, name: str) -> Person:
        """Return somebody who has just joined: confirmed by the operator, since nobody reads mail on a real account."""
        person = Person(self.configuration, name)
        person.sign_up()
        whom = {"UserPoolId": self.configuration.app["auth"]["user_pool_id"], "Username": person.email}
        cognito = self.operator.client("cognito-idp")
        cognito.admin_confirm_sign_up(**whom)
        cognito.admin_update_user_attributes(**whom, UserAttributes=[{"Name": "email_verified", "Value": "true"}])
        person.sign_in()
        return person


@dataclass
class Scene:
    """One scenario. Nothing of it is left for the next, but for the neighbours."""

    neighbourhood: Neighbourhood
    local_only: bool
    """Whether the scenario is tagged so."""
    people: dict[str, Person] = field(default_factory=dict)
    things: list[Thermostat] = field(default_factory=list)
    phones: dict[str, Listener] = field(default_factory=dict)
    room: str = ""
    site: str = ""
    answer: Answer | None = None
    before: Answer | None = None
    """The answer before the last one."""
    refusal: str = ""
    """What Cognito said."""
    result: Any = None
    """What the original contract said."""
    invitation: dict[str, Any] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    since: int = 0
    """When the thermostat was last told to go."""
    moved_s: int = 0
    old_tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    """What people's phones held before the clock was moved."""

    @property
    def configuration(self) -> Configuration:
        return self.neighbourhood.configuration

    @property
    def operator(self) -> Operator:
        return self.neighbourhood.operator

    def person(self, name: str) -> Person:
        """Return somebody of this scenario, or a neighbour."""
        if name not in self.people:
            self.people[name] = self.neighbourhood.signed_in(name)
        return self.people[name]

    @property
    def thermostat(self) -> Thermostat:
        return self.things[-1]

    @property
    def path(self) -> str:
        """Of the thermostat, on the HTTP API."""
        return f"/v1/devices/{self.thermostat.thing}"

    @property
    def said(self) -> Answer:
        """What was answered last."""
        assert self.answer is not None
        return self.answer

    def take(self, answer: Answer) -> Answer:
        """Keep an answer as the last one."""
        self.before, self.answer = self.answer, answer
        return answer

    def now(self) -> float:
        """Return the cloud's time, epoch seconds."""
        return time.time() + self.moved_s

    def need_local_cloud(self) -> None:
        """Stand before what a real account has not, the inbox and the clock: the tag must say so."""
        assert self.local_only, "tag the scenario @local_only: a real account has neither inbox nor clock"

    def move_clock(self, seconds: int) -> None:
        """Move the cloud's clock; phones refresh their sessions, as apps do."""
        self._move(seconds)
        for name, person in self.people.items():
            self.old_tokens.setdefault(name, person.tokens)
            if "RefreshToken" in person.tokens:
                person.refresh()

    def _move(self, seconds: int) -> None:
        self.configuration.run("clock", f"{seconds:+d}s")
        self.moved_s += seconds

    def close(self) -> None:
        """Hang up, and give the clock back as it was."""
        for phone in self.phones.values():
            phone.close()
        for thermostat in self.things:
            thermostat.disconnect()
        if self.moved_s:
            self._move(-self.moved_s)
        for name, tokens in self.old_tokens.items():
            self.people[name].tokens = tokens  # those issued since would be from the future


@pytest.fixture(scope="session")
def neighbourhood(configuration: Configuration, tmp_path_factory: pytest.TempPathFactory) -> Neighbourhood:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return Neighbourhood(configuration, Operator(configuration, folder))


@pytest.fixture
def scene(neighbourhood: Neighbourhood, request: pytest.FixtureRequest) -> Iterator[Scene]:
    scene = Scene(neighbourhood, local_only=request.node.get_closest_marker("local_only") is not None)
    yield scene
    scene.close()
