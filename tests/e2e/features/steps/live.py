"""H4 live on the phone."""

import queue
from typing import Any

from pytest_bdd import given, parsers, then, when

from tests.e2e.features.steps.people import Person, forge
from tests.e2e.features.steps.scene import Scene, says
from tests.e2e.features.steps.things import WAIT_S, CredentialsListener, Listener, TokenListener, wait_for

OPERATOR = "operator"


def _connect(scene: Scene, who: str, key: str) -> TokenListener | CredentialsListener:
    person = scene.person(who)
    phone: TokenListener | CredentialsListener
    if key == "token":
        phone = TokenListener(person)
        assert phone.connect(person.token)
    else:
        phone = CredentialsListener(person)
        assert phone.connect(person.credentials())
    scene.phones[who] = phone
    return phone


@given(says("{who:w}'s phone is connected by {key:w}"))
def is_connected(scene: Scene, who: str, key: str) -> None:
    _connect(scene, who, key)


@given(says("{who:w}'s phone listens by {key:w}"))
def listens(scene: Scene, who: str, key: str) -> None:
    phone = _connect(scene, who, key)
    assert phone.subscribe(phone.own_topics)
    _wait_until_known(scene, phone)


def _wait_until_known(scene: Scene, phone: Listener) -> None:
    """Report urgently until the phone hears of it: then its connection has been learnt of, and what follows counts.

    What was said before it has been heard too, or will not be: a barrier for what looks for absence.
    """
    probe = scene.operator.make()
    phone.person.ask("POST", "/v1/devices/claim", {"thing": probe.thing, "secret": probe.secret})
    assert probe.connect()
    try:

        def heard() -> bool:
            probe.report(5.0, urgently=True)
            return any(
                document.get("thing") == probe.thing and topic.endswith("/urgent")
                for topic, document in list(phone.heard.queue)
            )

        wait_for("the phone's connection to be known", heard)
    finally:
        probe.disconnect()
    phone.person.ask("POST", f"/v1/devices/{probe.thing}/release")


def _hear(scene: Scene, who: str, kind: str, wanted: Any) -> None:
    """Wait until the phone of somebody hears of the thermostat what is wanted; other messages are passed over."""
    phone = scene.phones[who]
    heard: list[Any] = []
    while True:
        try:
            topic, document = phone.heard.get(timeout=WAIT_S)
        except queue.Empty:
            raise AssertionError(f"{who} heard only {heard}") from None
        heard.append((topic, document))
        assert topic.startswith(phone.own_topics[:-1])
        if topic.endswith(f"/{kind}") and document["thing"] == scene.thermostat.thing and wanted(document):
            return


@then(says("{who:w}'s phone hears that the thermostat is connected"))
def hears_presence(scene: Scene, who: str) -> None:
    _hear(scene, who, "presence", lambda document: document["connected"] is True)


@when(says("the thermostat reports {degrees:g} degrees urgently"))
def reports_urgently(scene: Scene, degrees: float) -> None:
    scene.thermostat.report(degrees, urgently=True)


@then(says("{who:w}'s phone hears {degrees:g} degrees"))
def hears_degrees(scene: Scene, who: str, degrees: float) -> None:
    _hear(scene, who, "urgent", lambda document: document["reading"]["metrics"]["temperature_c"] == degrees)


@then(says("{who:w}'s phone has not heard {degrees:g} degrees"))
def has_not_heard(scene: Scene, who: str, degrees: float) -> None:
    phone = scene.phones[who]
    _wait_until_known(scene, phone)
    waiting = list(phone.heard.queue)
    assert not any(
        document["reading"]["metrics"]["temperature_c"] == degrees
        for topic, document in waiting
        if topic.endswith("/urgent")
    )


@when(says("{who:w}'s phone subscribes to the messages of {other:w}"))
def subscribes_to_others(scene: Scene, who: str, other: str) -> None:
    phone = scene.phones[who]
    assert isinstance(phone, TokenListener | CredentialsListener)
    scene.result = phone.subscribe(f"live/{scene.configuration.stage}/{scene.person(other).user}/#")


@when(says("{who:w}'s phone publishes a command to the thermostat"))
def publishes(scene: Scene, who: str) -> None:
    phone = scene.phones[who]
    assert isinstance(phone, TokenListener | CredentialsListener)
    scene.result = phone.publish(f"cmd/{scene.configuration.stage}/{scene.thermostat.thing}/identify/req")


@then(says("{who:w}'s phone is refused"))
def is_refused(scene: Scene, who: str) -> None:
    """MQTT 3.1.1 is cut off, MQTT 5 told so in the SUBACK or PUBACK; and nothing was heard."""
    assert scene.result is False
    assert scene.phones[who].heard.empty()


@then(says("{who:w}'s phone is cut off"))
def is_cut_off(scene: Scene, who: str) -> None:
    assert scene.phones[who].gone.wait(WAIT_S)


@then(parsers.re(r"a phone of Ann's with (?P<what>.+ token|no token|Bob's token) is not let in"))
def is_not_let_in(scene: Scene, what: str) -> None:
    ann = scene.person("Ann")
    password = {
        "a forged token": lambda: forge(ann.token),
        "an unsigned token": lambda: forge(ann.token, algorithm="none"),
        "an ID token": lambda: ann.tokens["IdToken"],
        "no token": lambda: None,
        "Bob's token": lambda: scene.person("Bob").token,
        "her old token": lambda: scene.old_tokens["Ann"]["AccessToken"],
    }[what]()
    assert not TokenListener(ann).connect(password)


@then(says("a phone of {who:w}'s with {other:w}'s credentials is not let in"))
def credentials_in_anothers_name(scene: Scene, who: str, other: str) -> None:
    phone = CredentialsListener(scene.person(other))
    assert not phone.connect(scene.person(other).credentials(), f"app-{scene.person(who).user}-phone")
    phone.close()


@then(says("{who:w}'s phone is not let in by credentials"))
def untied_credentials(scene: Scene, who: str) -> None:
    phone = CredentialsListener(scene.person(who))
    assert not phone.connect(scene.person(who).credentials())
    phone.close()


@given(says("an operator listens to all that is published for {who:w}"))
def operator_listens(scene: Scene, who: str) -> None:
    person: Person = scene.person(who)
    phone = CredentialsListener(person)
    operator = scene.operator.credentials()
    assert phone.connect(operator, f"features-{person.user}")
    assert phone.subscribe(phone.own_topics)
    scene.phones[OPERATOR] = phone


@then(says("nothing was published for {who:w}"))
def nothing_was_published(scene: Scene, who: str) -> None:
    """Wait for what was said to the other phones since, then for a word of the operator's own: it is the only one."""
    operator = scene.phones[OPERATOR]
    assert isinstance(operator, CredentialsListener)
    for name, phone in scene.phones.items():
        if name not in {OPERATOR, who}:
            _wait_until_known(scene, phone)
    marker = f"{operator.own_topics[:-1]}marker"
    assert operator.publish(marker)
    first, _ = operator.heard.get(timeout=WAIT_S)
    assert first == marker
