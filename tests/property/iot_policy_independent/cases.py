"""Random policies and requests, made for one another: patterns grow out of what they are to meet, then go astray."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from infra.local.iot.message import Thing
from infra.local.iot.policy import Context
from tests.property.iot_policy_independent.words import (
    ACTION_WEIGHTS,
    ACTIONS,
    ADDRESSES,
    ARN,
    CLIENTS,
    CONNECT_ATTRIBUTES,
    FIELD_VALUES,
    FIELDS,
    HEADS,
    INSTANTS,
    LONG_VALUES,
    NAMES,
    NETWORKS,
    RESOURCES,
    SUBS,
    WORDS,
    escaped,
    facts,
    generic,
    variable,
    written,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A document's statements and one request, with the features that occur in them."""

    statements: list[dict[str, Any]]
    action: str
    resource: str
    context: Context
    features: frozenset[str]


def cases(seed: int, count: int) -> Iterator[Case]:
    """Return that many cases, the same ones for the same seed."""
    rng = Random(seed)
    for _ in range(count):
        yield Maker(rng).case()


class Maker:
    """Makes one case, and notes what it puts in."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.features: set[str] = set()

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def case(self) -> Case:
        self.context, self.values = self.request()
        self.action = self.rng.choices(ACTIONS, ACTION_WEIGHTS)[0]
        self.resource = self.target(self.action)
        self.features |= {self.action, *facts(self.context)}
        statements = [self.statement(first=i == 0) for i in range(self.rng.choice([1, 1, 2, 2, 3, 4]))]
        return Case(
            statements=statements,
            action=self.action,
            resource=self.resource,
            context=self.context,
            features=frozenset(self.features),
        )

    # The request

    def request(self) -> tuple[Context, Mapping[str, str]]:
        """Return who asks, and what a policy's author could write for each of the values: name to value."""
        rng = self.rng
        client = rng.choice(CLIENTS) if self.chance(0.9) else None
        thing = self.thing(client) if self.chance(0.7) else None
        fields = rng.sample(FIELDS, rng.choice([0, 1, 2, 3]))
        certificate = {f: [self.field_value() for _ in range(rng.choice([1, 1, 2, 3, 6, 7]))] for f in fields}
        attributes = [a for a in CONNECT_ATTRIBUTES if self.chance(0.5)] if self.chance(0.6) else None
        context = Context(
            client_id=client,
            source_ip=rng.choice(ADDRESSES) if self.chance(0.9) else None,
            thing=thing,
            attached=rng.choice([True, False]) if self.chance(0.2) else None,
            certificate_id=rng.choice(["cafe", "beef"]) if self.chance(0.7) else None,
            certificate=certificate,
            connect_attributes=attributes,
            last_will_topic=f"{rng.choice([*WORDS, *['x:topic'] * 12])}/{rng.choice(WORDS)}"
            if attributes and "LastWill" in attributes
            else None,
            cognito_sub=rng.choice(SUBS) if self.chance(0.3) else None,
            more={"aws:CurrentTime": [rng.choice(INSTANTS)]} if self.chance(0.7) else {},
        )
        return context, written(context)

    def field_value(self) -> str:
        return self.rng.choice(LONG_VALUES if self.chance(0.01) else FIELD_VALUES)

    def thing(self, client: str | None) -> Thing:
        name = client if client and self.chance(0.8) else self.rng.choice(CLIENTS)
        facts = {"site": self.rng.choice(["berlin", "a", "12"])} | (
            {"floor": self.rng.choice(["3", "12"])} if self.chance(0.5) else {}
        )
        return Thing(name=name, type_name=self.rng.choice(["lamp", "a", None]), attributes=facts)

    def target(self, action: str) -> str:
        """Return a resource for an action, made of words and of the values of the request."""
        kind = RESOURCES[action]
        if kind == "client" and self.context.client_id and self.chance(0.85):
            return f"{ARN}client/{self.context.client_id}"
        levels = [self.word() for _ in range(1 if kind in {"client", "rolealias"} else self.rng.randint(1, 4))]
        return f"{ARN}{kind}/{'/'.join(levels)}"

    def word(self) -> str:
        known = list(self.values.values())
        return self.rng.choice(known) if known and self.chance(0.5) else self.rng.choice(WORDS)

    # The policy

    def statement(self, *, first: bool) -> dict[str, Any]:
        statement: dict[str, Any] = {"Effect": "Allow" if self.chance(0.95 if first else 0.6) else "Deny"}
        if self.chance(0.12):
            others = [a for a in ACTIONS if a != self.action or self.chance(0.15)]
            statement["NotAction"] = self.one_or_many(
                [self.act(a) for a in self.rng.sample(others, self.rng.randint(1, 3))]
            )
        else:
            some = [
                self.action if self.chance(0.9) else self.rng.choice(ACTIONS),
                *self.rng.sample(ACTIONS, self.rng.randint(0, 2)),
            ]
            statement["Action"] = self.one_or_many([self.act(a) for a in some])
        if self.chance(0.12):
            strays = [
                self.target(self.action) if self.chance(0.8) else self.resource for _ in range(self.rng.randint(1, 2))
            ]
            statement["NotResource"] = self.one_or_many([self.pattern(r) for r in strays])
        else:
            aims = [
                self.resource if self.chance(0.85) else self.target(self.action)
                for _ in range(self.rng.choice([1, 1, 2]))
            ]
            statement["Resource"] = self.one_or_many([self.pattern(r) for r in aims])
        if self.chance(0.55):
            block: dict[str, dict[str, Any]] = {}
            for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
                operator, key, wanted = self.condition()
                block.setdefault(operator, {})[key] = self.one_or_many(wanted)
            statement["Condition"] = block
            self.note("several conditions" if sum(map(len, block.values())) > 1 else "one condition")
        self.note(*(part for part in ("NotAction", "NotResource") if part in statement), statement["Effect"])
        return statement

    def note(self, *features: str) -> None:
        self.features.update(features)

    def one_or_many(self, values: list[Any]) -> Any:
        return values[0] if len(values) == 1 and self.chance(0.5) else values

    def act(self, action: str) -> str:
        """Return an Action element that covers an action, or nearly."""
        if self.chance(0.1):
            self.note("action iot:*")
            return "iot:*"
        if self.chance(0.2):
            self.note("action with a wildcard")
            cut = self.rng.randint(5, len(action) - 1)
            return self.rng.choice(
                [action[:cut] + "*", action[:cut] + "?" + action[cut + 1 :], action[:4] + "*" + action[cut:]]
            )
        if self.chance(0.05):
            self.note("action in other case")
            return action.replace("iot:", "").lower().join(["iot:", ""])
        return action

    def pattern(self, text: str) -> str:
        """Return a Resource element that covers a text, or nearly: variables for values, wildcards, literals."""
        if self.chance(0.06):
            self.note("resource *")
            return "*"
        head = ARN
        if self.chance(0.15):
            self.note("wildcard before the resource")
            head = self.rng.choice(HEADS)
        kind, _, rest = text.removeprefix(ARN).partition("/")
        return f"{head}{kind}/{self.disguise(rest)}"

    def disguise(self, text: str) -> str:
        """Return a pattern for a text."""
        out = ""
        fancy = 0.02 if self.chance(0.5) else 0.1
        while text:
            step, piece = self.variable(text) or self.special(text) or self.plain(text, fancy)
            out, text = out + piece, text[step:]
        if self.chance(0.05):
            self.note("stray variable")
            out += variable(self.rng.choice([*NAMES, "iot:Nothing", "iot:clientid"]))
        return out

    def variable(self, text: str) -> tuple[int, str] | None:
        fits = [(name, value) for name, value in self.values.items() if value and text.startswith(value)]
        if not fits or not self.chance(0.6):
            return None
        name, value = self.rng.choice(fits)
        self.note(variable(generic(name)))
        return len(value), f"*{variable(name)}*" if name.endswith(".List") and self.chance(0.3) else variable(name)

    def special(self, text: str) -> tuple[int, str] | None:
        if text[0] not in "*?$" or not self.chance(0.7):
            return None
        self.note(f"literal ${{{text[0]}}}")
        return 1, f"${{{text[0]}}}"

    def plain(self, text: str, fancy: float) -> tuple[int, str]:
        if self.chance(fancy):
            self.note("?")
            return int(self.chance(0.9)), "?"
        if self.chance(fancy):
            self.note("*")
            return self.rng.randint(0, min(len(text), 8)), "*"
        if self.chance(0.01):
            self.note("near miss")
            return 1, self.rng.choice("abz/")
        return 1, text[0]

    # Conditions

    def condition(self) -> tuple[str, str, list[Any]]:
        make = self.rng.choice(
            [
                self.string,
                self.string,
                self.string,
                self.flag,
                self.network,
                self.connect,
                self.connect,
                self.many,
                self.null,
                self.will,
                self.number,
                self.date,
            ]
        )
        operator, key, wanted = make()
        if operator != "Null" and self.chance(0.15):
            self.note("IfExists")
            operator += "IfExists"
        for part in ("ForAllValues", "ForAnyValue", "Not"):
            if part in operator:
                self.note(f"{part} in a condition")
        self.note(operator.rpartition(":")[2].removesuffix("IfExists"), f"condition on {generic(key)}")
        return operator, key, wanted

    def string(self) -> tuple[str, str, list[Any]]:
        if self.context.certificate and self.chance(0.12):
            field, values = self.rng.choice(list(self.context.certificate.items()))
            self.note("equal to one of a list")
            key = f"iot:Certificate.{field}.{self.rng.randrange(len(values))}"
            return (
                self.rng.choice(["StringEquals", "StringNotEquals"]),
                key,
                [variable(f"iot:Certificate.{field}.List")],
            )
        present = list(self.values)
        key = self.rng.choice(present) if present and self.chance(0.75) else self.rng.choice(NAMES)
        held = self.values.get(key)
        base = self.rng.choice(
            [
                "StringEquals",
                "StringEquals",
                "StringNotEquals",
                "StringLike",
                "StringLike",
                "StringNotLike",
                "StringEqualsIgnoreCase",
                "StringNotEqualsIgnoreCase",
            ]
        )
        prefix = self.rng.choice(["ForAllValues:", "ForAnyValue:"]) if self.chance(0.1) else ""
        return prefix + base, key, self.wanted(base, [held] if held else [], WORDS)

    def wanted(self, base: str, held: Sequence[str], others: Sequence[str]) -> list[Any]:
        """Return one to three values to compare with: likely what is held, written as the operator allows."""
        out = []
        for _ in range(self.rng.choice([1, 1, 2, 3])):
            value = self.rng.choice(held) if held and self.chance(0.6) else self.rng.choice(others)
            if "IgnoreCase" in base and self.chance(0.5):
                value = value.upper()
            elif "Like" in base:
                value = self.disguise(value)
            elif self.chance(0.4):
                value = "".join(c if c not in "*?$" else f"${{{c}}}" for c in value)
                self.note("literal in a condition")
            elif self.chance(0.2):
                lists = [name for name in self.values if name.endswith(".List")] if self.chance(0.4) else []
                value = variable(self.rng.choice(lists or [*self.values] or NAMES if self.chance(0.8) else NAMES))
                self.note("variable in a condition")
            out.append(value)
        return out

    def flag(self) -> tuple[str, str, list[Any]]:
        wanted = [self.rng.choice([True, False, "true", "false", "True"])]
        return "Bool", "iot:Connection.Thing.IsAttached", wanted

    def network(self) -> tuple[str, str, list[Any]]:
        operator = self.rng.choice(["IpAddress", "NotIpAddress"])
        return operator, "aws:SourceIp", self.rng.sample(NETWORKS, self.rng.randint(1, 3))

    def connect(self) -> tuple[str, str, list[Any]]:
        prefix = self.rng.choice(["ForAllValues:", "ForAllValues:", "ForAnyValue:", ""])
        base = self.rng.choice(["StringEquals", "StringEquals", "StringNotEquals", "StringLike"])
        wanted = self.rng.sample([*CONNECT_ATTRIBUTES, "New"], self.rng.randint(0, 2))
        self.note(*([] if wanted else ["no value wanted"]))
        return prefix + base, "iot:ConnectAttributes", wanted

    def many(self) -> tuple[str, str, list[Any]]:
        """Return a condition on all values of a certificate's field, or on the names of those it has."""
        prefix = self.rng.choice(["ForAllValues:", "ForAllValues:", "ForAnyValue:", "ForAnyValue:", ""])
        base = self.rng.choice(
            ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"]
        )
        field = self.rng.choice(list(self.context.certificate) or FIELDS)
        if self.chance(0.25):
            names = [f"iot:Certificate.{f}" for f in FIELDS]
            return prefix + base, "iot:Certificate.AvailableKeys", self.rng.sample(names, self.rng.randint(1, 4))
        held = [escaped(v) for v in self.context.certificate.get(field, ())]
        wanted = [*self.wanted(base, held, FIELD_VALUES), *(held if self.chance(0.3) and "Like" not in base else [])]
        return prefix + base, f"iot:Certificate.{field}.List", wanted

    def null(self) -> tuple[str, str, list[Any]]:
        keys = ["iot:ConnectAttributes", "iot:LastWillTopic", "iot:Certificate.AvailableKeys"]
        key = self.rng.choice(keys if self.chance(0.4) else [*NAMES, *self.values])
        return "Null", key, [self.rng.choice([True, False, "true", "false"])]

    def will(self) -> tuple[str, str, list[Any]]:
        operator = self.rng.choice(["ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringLike", "StringEquals"])
        topic = self.context.last_will_topic
        fitting = [topic, topic, topic.rpartition("/")[2]] if topic else WORDS
        topics = [self.rng.choice(fitting if self.chance(0.7) else WORDS) for _ in range(self.rng.randint(1, 2))]
        if topic and ":topic/" in topic and self.chance(0.8):
            self.note("ARN with a part too few")
            return operator, "iot:LastWillTopic", [f"arn:aws:iot:*:topic/{topic.partition(':topic/')[2]}"]
        return operator, "iot:LastWillTopic", [self.pattern(f"{ARN}topic/{t}") for t in topics]

    def number(self) -> tuple[str, str, list[Any]]:
        compare = self.rng.choice(
            ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
        )
        key = "iot:Connection.Thing.Attributes[floor]"
        return (
            f"Numeric{compare}",
            key,
            [self.rng.choice(["3", "12", "12.0", "7.5", 3, 12, "-1"]) for _ in range(self.rng.randint(1, 2))],
        )

    def date(self) -> tuple[str, str, list[Any]]:
        compare = self.rng.choice(
            ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
        )
        return f"Date{compare}", "aws:CurrentTime", [self.rng.choice(INSTANTS) for _ in range(self.rng.randint(1, 2))]
