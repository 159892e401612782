"""The words that random policies and requests are made of, and what may be said of a request."""

from collections.abc import Callable, Iterator

from infra.local.iot.policy import Context

ARN = "arn:aws:iot:us-east-1:123456789012:"
HEADS = [
    "arn:aws:iot:*:123456789012:",
    "arn:aws:iot:us-east-1:*:",
    "arn:aws:iot:us-????-1:123456789012:",
    "arn:aws:iot:*:",
]
CLIENTS = ["lamp1", "lamp-2", "Lamp1", "+", "la*", "l?mp", "a$b", "dev:7", "12", "${iot:CertificateId}"]
WORDS = [
    "lamp1",
    "admin",
    "a",
    "b",
    "berlin",
    "x y",
    "+",
    "#",
    "la*",
    "q?",
    "$aws",
    "$",
    "12",
    "Acme",
    "a=b",
    "{a}",
    "x:topic",
    "${iot:ClientId}",
]
SUBS = ["us-east-1:11-22", "us-east-1:33-44"]
ADDRESSES = ["10.1.2.3", "10.1.3.4", "192.0.2.7", "2001:db8::1", "2001:db8:1::9"]
NETWORKS = [
    "10.1.2.0/24",
    "10.0.0.0/8",
    "10.1.2.3",
    "192.0.2.0/29",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8::1",
    "::/0",
    "10.1.2.9/24",
]
INSTANTS = ["2026-01-01T00:00:00Z", "2026-06-30T12:00:00Z", "1767225600", "1790000000"]
CONNECT_ATTRIBUTES = ["PersistentConnect", "LastWill"]
FIELDS = [
    "Subject.CommonName", "Subject.Organization", "Subject.Country", "Issuer.CommonName", "Issuer.State",
    "SerialNumber", "Subject.AlternativeName.DNSName", "Issuer.AlternativeName.RFC822Name",
]  # fmt: skip
FIELD_VALUES = ["lamp1", "a", "b", "Acme", "Acme, Inc", "a=b", "lamp", "q*", "x+y", "$5", "berlin", "a\\b"]
LONG_VALUES = ["L" * 1024, "L" * 1025]
SUFFIXES = ["", "", ".0", ".1", ".2", ".4", ".5", ".List"]
RESOURCES = {
    "iot:Connect": "client", "iot:Publish": "topic", "iot:RetainPublish": "topic", "iot:Receive": "topic",
    "iot:Subscribe": "topicfilter", "iot:GetThingShadow": "thing", "iot:UpdateThingShadow": "thing",
    "iot:GetRetainedMessage": "topic", "iot:AssumeRoleWithCertificate": "rolealias", "iot:DeleteConnection": "client",
}  # fmt: skip
ACTIONS = list(RESOURCES)
ACTION_WEIGHTS = [6, 6, 2, 3, 3, 1, 1, 1, 1, 1]
NAMES = [
    "iot:ClientId", "aws:SourceIp", "iot:CertificateId", "cognito-identity.amazonaws.com:sub",
    "iot:Connection.Thing.ThingName", "iot:Connection.Thing.ThingTypeName", "iot:Connection.Thing.IsAttached",
    "iot:Connection.Thing.Attributes[site]", "iot:Connection.Thing.Attributes[floor]",
    "iot:Connection.Thing.Attributes[none]",
    *(f"iot:Certificate.{field}{suffix}" for field in FIELDS for suffix in dict.fromkeys(SUFFIXES)),
]  # fmt: skip


def variable(name: str) -> str:
    return f"${{{name}}}"


def escaped(value: str) -> str:
    return "".join("\\" + c if c in ',"\\+=<>;' else c for c in value)


def generic(name: str) -> str:
    """Return a name as features are counted: attributes and certificate fields by their kind."""
    if name.startswith("iot:Certificate."):
        if name.endswith((".AvailableKeys", ".List")):
            return "certificate" + name[name.rindex(".") :]
        return "certificate by index" if name[-1].isdecimal() else "certificate"
    return name.partition("[")[0]


def written(context: Context) -> dict[str, str]:
    """Return what a policy's author might take each variable for: right ones, and some that AWS will not substitute."""
    out = {
        "iot:ClientId": context.client_id,
        "aws:SourceIp": context.source_ip,
        "iot:CertificateId": context.certificate_id,
        "cognito-identity.amazonaws.com:sub": context.cognito_sub,
    }
    if context.thing is not None:
        out |= {
            "iot:Connection.Thing.ThingName": context.thing.name,
            "iot:Connection.Thing.ThingTypeName": context.thing.type_name,
        }
        out |= {f"iot:Connection.Thing.Attributes[{k}]": v for k, v in context.thing.attributes.items()}
    for field, values in context.certificate.items():
        out[f"iot:Certificate.{field}"] = escaped(values[0])
        out |= {f"iot:Certificate.{field}.{i}": escaped(v) for i, v in enumerate(values)}
        out[f"iot:Certificate.{field}.List"] = escaped(values[-1])
    return {name: value for name, value in out.items() if value is not None}


def facts(context: Context) -> Iterator[str]:
    """Return what is special about who asks."""
    tests: dict[str, Callable[[], bool]] = {
        "thing of another name": lambda: (
            context.thing is not None and context.client_id not in {None, context.thing.name}
        ),
        "thing not attached": lambda: context.thing is not None and context.attached is False,
        "no thing": lambda: context.thing is None,
        "connect without attributes": lambda: context.connect_attributes == [],
        "last will": lambda: context.last_will_topic is not None,
        "more values than count": lambda: any(len(v) > 5 for v in context.certificate.values()),
        "value with a wildcard": lambda: any(set("*$+?#") & set(v) for vs in context.certificate.values() for v in vs),
        "value to be escaped": lambda: any(set(",=") & set(v) for vs in context.certificate.values() for v in vs),
        "value too long": lambda: any(len(v) > 1024 for vs in context.certificate.values() for v in vs),
        "cognito identity": lambda: context.cognito_sub is not None,
    }
    yield from (name for name, test in tests.items() if test())
