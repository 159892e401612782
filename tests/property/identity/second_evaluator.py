"""IAM's evaluation, written a second time from the guide's prose and in another manner, to hold the first against.

Slow and plain on purpose: documents are walked as they stand, patterns are matched letter by letter, no regular
expressions, nothing shared with the code under test.
"""


def listed(value):
    return value if isinstance(value, list) else [value]


def glob(pattern, text):
    """Match ``*`` and ``?`` by recursion with backtracking over positions."""
    reached = {0}
    for letter in pattern:
        if letter == "*":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(text) and letter in ("?", text[at])}
    return len(text) in reached


def arn(pattern, text):
    if pattern == "*":
        return True
    wanted, given = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(given) and all(glob(one, other) for one, other in zip(wanted, given, strict=True))


def fill(text, context):
    """Replace variables; None where one is unknown. Wildcards brought in are protected by private letters."""
    out, rest = "", text
    while "${" in rest:
        before, _, rest = rest.partition("${")
        name, _, rest = rest.partition("}")
        value = {"*": "*", "?": "?", "$": "$"}.get(name, context.get(name))
        if not isinstance(value, str):
            return None
        out += before + value.replace("*", "\u0001").replace("?", "\u0002")
    return out + rest


def compare(operator, wanted, given):
    wanted_literal = wanted.replace("\u0001", "*").replace("\u0002", "?")
    if operator == "StringEquals":
        return wanted_literal == given
    if operator == "StringLike":
        return glob(wanted, given.replace("*", "\u0001").replace("?", "\u0002"))
    if operator == "ArnLike":
        return given.count(":") >= 5 and arn(wanted, given)
    if operator == "Bool":
        return wanted_literal.lower() == given.lower()
    if operator == "NumericLessThan":
        try:
            return float(given) < float(wanted)
        except ValueError:
            return False
    raise NotImplementedError(operator)


def holds(operator, key, wanted, context):  # noqa: C901, PLR0911 - the guide's table, row by row
    base = operator.split(":")[-1]
    optional = base.endswith("IfExists")
    base = base[: -len("IfExists")] if optional else base
    values = context.get(key)
    present = values is not None
    if base == "Null":
        return present is (listed(wanted)[0] == "false")
    negative = "Not" in base
    base = base.replace("Not", "")
    if not present:
        if optional:
            return True
        if operator.startswith("ForAllValues"):
            return True
        if operator.startswith("ForAnyValue"):
            return False
        return negative
    patterns = [filled for one in listed(wanted) if (filled := fill(one, context)) is not None]
    results = []
    for value in listed(values):
        hit = False
        for pattern in patterns:
            hit = hit or compare(base, pattern, value)
        results.append(not hit if negative else hit)
    if operator.startswith("ForAllValues"):
        return False not in results
    if operator.startswith("ForAnyValue"):
        return True in results
    return False not in results if negative else True in results


def applies(statement, action, resource, context):  # noqa: C901 - element by element
    if "Action" in statement:
        on_action = any(glob(one.lower(), action.lower()) for one in listed(statement["Action"]))
    else:
        on_action = not any(glob(one.lower(), action.lower()) for one in listed(statement["NotAction"]))

    def is_it(pattern):
        filled = fill(pattern, context)
        if filled is None:
            return False
        protected = resource.replace("*", "\u0001").replace("?", "\u0002")
        return arn(filled, protected)

    if "Resource" in statement:
        on_resource = any(is_it(one) for one in listed(statement["Resource"]))
    else:
        on_resource = not any(is_it(one) for one in listed(statement["NotResource"]))
    if not (on_action and on_resource):
        return False
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if not holds(operator, key, wanted, context):
                return False
    return True


def decide(identity, boundary, action, resource, context):
    """Return "allow", "deny" or "nothing" as the guide's flow chart has it."""
    layers = [identity] + ([boundary] if boundary is not None else [])
    effects = [
        {one["Effect"] for one in layer["Statement"] if applies(one, action, resource, context)} for layer in layers
    ]
    if any("Deny" in found for found in effects):
        return "deny"
    return "allow" if all("Allow" in found for found in effects) else "nothing"
