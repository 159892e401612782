"""A second evaluator of AWS IoT policies, naive on purpose: texts are replaced, characters compared one by one.

It follows the documented rules and shares no code with the engine.
"""

import ipaddress
from functools import cache

SPECIAL = ',"\\+=<>;'


def escape(value):
    return "".join("\\" + char if char in SPECIAL else char for char in value)


def look_up(key, context):  # noqa: C901, PLR0911 - one line a documented variable
    """Return the values of a key, or None where the request has none."""
    if key == "iot:ClientId":
        return one(context.get("client_id"))
    if key == "aws:SourceIp":
        return one(context.get("source_ip"))
    if key == "iot:ConnectAttributes":
        return context.get("connect_attributes")
    if key == "iot:LastWillTopic":
        topic = context.get("last_will_topic")
        return None if topic is None else ["arn:aws:iot:us-east-1:123456789012:topic/" + topic]
    thing = context.get("thing")
    if thing is not None and context.get("client_id") not in (None, thing["name"]):
        thing = None
    if key == "iot:Connection.Thing.IsAttached":
        return ["false" if thing is None else "true"]
    if key == "iot:Connection.Thing.ThingName":
        return one(thing and thing["name"])
    if key == "iot:Connection.Thing.ThingTypeName":
        return one(thing and thing["type"])
    if key.startswith("iot:Connection.Thing.Attributes["):
        return one(thing and thing["attributes"].get(key[len("iot:Connection.Thing.Attributes[") : -1]))
    if key.startswith("iot:Certificate."):
        return certificate(key[len("iot:Certificate.") :], context.get("cert", {}))
    return None


def one(value):
    return None if value is None else [value]


def certificate(name, fields):
    if name in fields:
        return [escape(fields[name][0])] if fields[name] else None
    field, _, index = name.rpartition(".")
    values = [escape(value) for value in fields.get(field, [])[:5]]
    if index == "List":
        return values or None
    return [values[int(index)]] if index.isdigit() and int(index) < len(values) else None


def tokens(text, context):
    """Return the alternatives a pattern stands for, each as characters and wildcards; None where unresolved."""
    alternatives: list[list[object]] = [[]]
    while text:
        if text.startswith("${") and "}" in text:
            name, text = text[2:].split("}", 1)
            if name in ("*", "?", "$"):
                values = [name]
            else:
                values = look_up(name, context)
                if not values:
                    return None
                if name.startswith("iot:Certificate.") and any(set(value) & set("*$+?#") for value in values):
                    return None
            alternatives = [[*before, *value] for before in alternatives for value in values]
        else:
            char, text = text[0], text[1:]
            token = {"*": ANY, "?": SINGLE}.get(char, char)
            alternatives = [[*before, token] for before in alternatives]
    return alternatives


ANY, SINGLE = object(), object()


def like(pattern, value, context):
    found = tokens(pattern, context)
    return found is not None and any(glob(tuple(each), value) for each in found)


def glob(pattern, value):
    @cache
    def fits(at, start):
        if at == len(pattern):
            return start == len(value)
        if pattern[at] is ANY:
            return any(fits(at + 1, end) for end in range(start, len(value) + 1))
        if start == len(value):
            return False
        return (pattern[at] is SINGLE or pattern[at] == value[start]) and fits(at + 1, start + 1)

    return fits(0, 0)


def plain(text, context):
    """Return a text with its variables replaced, None if one has no value."""
    out = ""
    while text:
        if text.startswith("${") and "}" in text:
            name, text = text[2:].split("}", 1)
            values = [name] if name in ("*", "?", "$") else look_up(name, context)
            if name.startswith("iot:Certificate.") and values and any(set(v) & set("*$+?#") for v in values):
                values = None
            if not values:
                return None
            out += values[0]
        else:
            out, text = out + text[0], text[1:]
    return out


def compare(operator, value, wanted, context):  # noqa: PLR0911 - one line an operator
    if operator in ("StringEquals", "StringNotEquals"):
        return value == plain(wanted, context)
    if operator in ("StringEqualsIgnoreCase", "Bool"):
        return value.lower() == (plain(wanted, context) or "\0").lower()
    if operator in ("StringLike", "StringNotLike"):
        return like(wanted, value, context)
    if operator in ("ArnLike", "ArnEquals"):
        parts, patterns = value.split(":", 5), wanted.split(":", 5)
        return len(parts) == len(patterns) and all(
            like(pattern, part, context) for part, pattern in zip(parts, patterns, strict=True)
        )
    if operator in ("IpAddress", "NotIpAddress"):
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    if operator == "NumericLessThan":
        try:
            return float(value) < float(wanted)
        except ValueError:
            return False
    raise NotImplementedError(operator)


def holds(name, key, wanted, context):
    wanted = wanted if isinstance(wanted, list) else [wanted]
    values = look_up(key, context)
    if name == "Null":
        return any(each == ("false" if values else "true") for each in wanted)
    quantifier, _, operator = name.rpartition(":")
    if operator.endswith("IfExists"):
        if values is None:
            return True
        operator = operator[: -len("IfExists")]
    negated = "Not" in operator

    def fits(value):
        found = any(compare(operator, value, each, context) for each in wanted)
        return not found if negated else found

    results = [fits(value) for value in values or []]
    if quantifier == "ForAllValues":
        return all(results)
    if quantifier == "ForAnyValue":
        return any(results)
    return all(results) if negated else any(results)


def applies(statement, action, resource, context):
    def listed(name):
        value = statement[name]
        return value if isinstance(value, list) else [value]

    def matches(name, value):
        ignoring = name == "Action"
        given = name if name in statement else f"Not{name}"
        found = any(
            like(each.lower() if ignoring else each, value.lower() if ignoring else value, {} if ignoring else context)
            for each in listed(given)
        )
        return found if given == name else not found

    if not matches("Action", action) or not matches("Resource", resource):
        return False
    block = statement.get("Condition", {})
    return all(holds(name, key, wanted, context) for name, keys in block.items() for key, wanted in keys.items())


def decide(statements, action, resource, context):
    """Return allow or deny."""
    effects = {one["Effect"] for one in statements if applies(one, action, resource, context)}
    return "allow" if effects == {"Allow"} else "deny"
