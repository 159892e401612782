"""Fleet provisioning over MQTT, from the claim to the thing."""

import asyncio
import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.iot.certificates import dump_der
from infra.local.iot.errors import InvalidError, IotError, NotEmulatedError
from infra.local.iot.message import Message
from infra.local.iot.provisioning.hook import HookError
from tests.unit.iot_provisioning.conftest import HOOK, POLICY, TEMPLATE


def changed(path, value):
    """Return the template with one value changed; None removes it."""
    template: Any = copy.deepcopy(TEMPLATE)
    *way, last = path.split("/")
    place = template
    for name in way:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return template


async def test_a_claim_becomes_a_thing_with_a_certificate_of_its_own(fleet):
    fleet.create()
    made = await fleet.claim()
    assert set(made) == {"certificateId", "certificatePem", "privateKey", "certificateOwnershipToken"}
    assert fleet.status(made) == "PENDING_ACTIVATION"
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert fleet.registry.certificate(dump_der(certificate)) is None
    outcome, answer = await fleet.register(made, SerialNumber="7-a")
    assert outcome == "accepted"
    assert answer == {
        "deviceConfiguration": {"url": "https://hall", "where": "hall/7-a/${kept}", "first": "7"},
        "thingName": "lamp-7-a",
    }
    principal = fleet.registry.certificate(dump_der(certificate))
    assert [name for name, _ in fleet.registry.documents(principal)] == ["device"]
    thing = fleet.registry.thing(principal, "lamp-7-a")
    assert (thing.type_name, thing.attributes) == ("bulb", {"serial": "7-a", "location": "hall"})
    assert fleet.call("ListThingGroupsForThing", {"thingName": "lamp-7-a"})["thingGroups"][0]["groupName"] == "fleet"


async def test_a_csr_keeps_the_private_key_on_the_device(fleet):
    fleet.create()
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    outcome, made = await fleet.ask("certificates/create-from-csr/json", {"certificateSigningRequest": pem})
    assert outcome == "accepted"
    assert set(made) == {"certificateId", "certificatePem", "certificateOwnershipToken"}
    assert x509.load_pem_x509_certificate(made["certificatePem"].encode()).public_key() == key.public_key()
    assert (await fleet.register(made, SerialNumber="1"))[0] == "accepted"
    for bad in ({}, {"certificateSigningRequest": ""}, {"certificateSigningRequest": "x"}):
        outcome, answer = await fleet.ask("certificates/create-from-csr/json", bad)
        assert (outcome, answer["statusCode"], answer["errorCode"]) == ("rejected", 400, "InvalidRequest")


async def test_an_unused_certificate_goes_when_its_token_expires(fleet):
    fleet.create()
    used, unused = await fleet.claim(), await fleet.claim()
    await fleet.register(used, SerialNumber="1")
    fleet.clock.move(timedelta(minutes=59, seconds=59))
    assert fleet.status(unused) == "PENDING_ACTIVATION"
    fleet.clock.move(timedelta(seconds=1))
    assert fleet.status(unused) is None
    assert fleet.status(used) == "ACTIVE"
    outcome, answer = await fleet.register(unused, SerialNumber="2")
    assert (outcome, answer["errorCode"]) == ("rejected", "InvalidCertificateOwnershipToken")
    assert fleet.things() == ["lamp-1"]


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        (b"rubbish", "InvalidRequest", "The payload is not JSON."),
        (b"[]", "InvalidRequest", "The payload is not an object."),
        (b"[" * 100_000, "InvalidRequest", "The payload is not JSON."),
        ({}, "InvalidCertificateOwnershipToken", "Certificate ownership token cannot be empty."),
        ({"certificateOwnershipToken": "guess"}, "InvalidCertificateOwnershipToken", "Certificate ownership token is"),
        ({"certificateOwnershipToken": [1]}, "InvalidCertificateOwnershipToken", "Certificate ownership token is"),
    ],
)
async def test_bad_requests_are_rejected_with_a_reason(fleet, document, code, message):
    fleet.create()
    outcome, answer = await fleet.ask("provisioning-templates/fleet/provision/json", document)
    assert (outcome, answer["statusCode"], answer["errorCode"]) == ("rejected", 400, code)
    assert answer["errorMessage"].startswith(message)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "Parameter SerialNumber is missing."),
        ({"SerialNumber": 5}, "parameters must be strings by name."),
        ({"SerialNumber": "a b"}, "1 validation error detected"),
        ({"SerialNumber": "1", "Location": "cellar"}, "Fn::FindInMap cannot be evaluated"),
        ({"SerialNumber": "x" * 200}, "1 validation error detected"),
    ],
)
async def test_bad_parameters_make_nothing(fleet, parameters, message):
    fleet.create()
    made = await fleet.claim()
    outcome, answer = await fleet.register(made, **parameters)
    assert (outcome, answer["statusCode"]) == ("rejected", 400)
    assert answer["errorMessage"].startswith(message)
    assert fleet.things() == []
    assert fleet.status(made) == "PENDING_ACTIVATION"
    assert (await fleet.register(made, SerialNumber="1"))[0] == "accepted"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("thing/Properties/ThingName", ["a"]),
        ("thing/Properties/ThingName", {"Fn::Split": ["-", {"Ref": "SerialNumber"}]}),
        ("thing/Properties/ThingName", None),
        ("thing/Properties/ThingGroups", "fleet"),
        ("thing/Properties/ThingGroups", [["fleet"]]),
        ("thing/Properties/AttributePayload", "a"),
        ("thing/Properties/AttributePayload", {"a": ["b"]}),
        ("certificate/Properties/CertificateId", [{"Ref": "SerialNumber"}]),
        ("certificate/Properties/Status", 1),
        ("policy/Properties/PolicyName", {"a": "b"}),
    ],
)
async def test_a_template_that_makes_no_texts_makes_nothing(fleet, path, value):
    fleet.create(changed(f"Resources/{path}", value))
    made = await fleet.claim()
    outcome, answer = await fleet.register(made, SerialNumber="1")
    assert (outcome, answer["statusCode"], answer["errorCode"]) == ("rejected", 400, "InvalidRequest")
    assert fleet.things() == []
    assert fleet.status(made) == "PENDING_ACTIVATION"


async def test_a_device_cannot_name_a_certificate_that_is_not_its_own(fleet):
    fleet.create()
    other, made = await fleet.claim(), await fleet.claim()
    await fleet.register(made, **{"SerialNumber": "1", "AWS::IoT::Certificate::Id": other["certificateId"]})
    assert (fleet.status(made), fleet.status(other)) == ("ACTIVE", "PENDING_ACTIVATION")


async def test_templates_that_are_missing_or_not_enabled_provision_nobody(fleet):
    made = await fleet.claim()
    outcome, answer = await fleet.register(made, SerialNumber="1")
    assert (outcome, answer["statusCode"], answer["errorCode"]) == ("rejected", 404, "ResourceNotFound")
    fleet.create(enabled=False)
    outcome, answer = await fleet.register(made, SerialNumber="1")
    assert (outcome, answer["statusCode"]) == ("rejected", 400)
    fleet.call("UpdateProvisioningTemplate", {"templateName": "fleet", "enabled": True})
    assert (await fleet.register(made, SerialNumber="1"))[0] == "accepted"


async def test_cbor_is_refused_by_name(fleet):
    outcome, answer = await fleet.ask("certificates/create/cbor", b"")
    assert (outcome, answer["statusCode"]) == ("rejected", 501)
    assert answer["errorMessage"] == "not emulated: provisioning requests in CBOR; use JSON"


async def test_what_did_not_come_from_a_client_gets_no_keys(fleet):
    fleet.provisioning.receive(Message(topic="$aws/certificates/create/json", payload=b""))
    await asyncio.sleep(0)
    assert not fleet.broker.sent
    assert not fleet.broker.published
    assert not fleet.provisioning.accepts("$aws/certificates/create/json/accepted")


async def test_the_hook_sees_what_aws_shows_it_and_adds_parameters(fleet):
    fleet.create(preProvisioningHook={"targetArn": HOOK})
    fleet.hook = lambda event: {"allowProvisioning": True, "parameterOverrides": {"Location": "attic"}}
    made = await fleet.claim()
    outcome, answer = await fleet.register(made, SerialNumber="1", Location="hall")
    assert (outcome, answer["deviceConfiguration"]["url"]) == ("accepted", "https://attic")
    arn = "arn:aws:iot:us-east-1:123456789012:provisioningtemplate/fleet"
    event = {
        "claimCertificateId": "claim-id",
        "certificateId": made["certificateId"],
        "certificatePem": made["certificatePem"],
        "templateArn": arn,
        "clientId": "device",
        "parameters": {"SerialNumber": "1", "Location": "hall"},
    }
    assert fleet.events == [(HOOK, arn, event)]


@pytest.mark.parametrize(
    "answer",
    [
        {"allowProvisioning": False},
        {},
        {"allowProvisioning": "yes"},
        {"allowProvisioning": True, "parameterOverrides": ["x"]},
        {"allowProvisioning": True, "parameterOverrides": {"Location": 5}},
        b"rubbish",
        b"null",
        b"\xff",
        HookError("the function raised"),
    ],
)
async def test_a_hook_that_refuses_fails_or_answers_rubbish_lets_nobody_in(fleet, answer):
    fleet.create(preProvisioningHook={"targetArn": HOOK})
    fleet.hook = lambda event: answer
    made = await fleet.claim()
    outcome, rejected = await fleet.register(made, SerialNumber="1")
    assert (outcome, rejected["statusCode"], rejected["errorCode"]) == ("rejected", 403, "ACCESS_DENIED")
    assert fleet.things() == []
    fleet.clock.move(timedelta(hours=1))
    assert fleet.status(made) is None


async def test_a_hook_that_is_late_lets_nobody_in_even_if_it_answers_yes_later(fleet):
    fleet.create(preProvisioningHook={"targetArn": HOOK})
    released = asyncio.Event()

    async def late():
        await released.wait()
        return {"allowProvisioning": True}

    fleet.hook = lambda event: late()
    made = await fleet.claim()
    outcome, rejected = await fleet.register(made, SerialNumber="1")
    assert (outcome, rejected["errorCode"]) == ("rejected", "ACCESS_DENIED")
    released.set()
    await asyncio.sleep(0.01)
    assert fleet.things() == []
    assert not fleet.broker.sent


async def test_a_token_that_expires_while_the_hook_thinks_is_worth_nothing(fleet):
    fleet.create(preProvisioningHook={"targetArn": HOOK})

    def slow(event):
        fleet.clock.move(timedelta(hours=1))
        return {"allowProvisioning": True}

    fleet.hook = slow
    outcome, rejected = await fleet.register(await fleet.claim(), SerialNumber="1")
    assert (outcome, rejected["errorCode"]) == ("rejected", "InvalidCertificateOwnershipToken")
    assert fleet.things() == []


@pytest.mark.parametrize(
    ("settings", "attributes", "outcome"),
    [
        ({}, {"old": "1", "location": "roof"}, "accepted"),
        ({"AttributePayload": "DO_NOTHING"}, {"old": "1", "location": "roof"}, "accepted"),
        ({"ATTRIBUTE_PAYLOAD": "REPLACE"}, {"serial": "1", "location": "hall"}, "accepted"),
        ({"AttributePayload": "MERGE"}, {"old": "1", "serial": "1", "location": "hall"}, "accepted"),
        ({"AttributePayload": "FAIL"}, {"old": "1", "location": "roof"}, "rejected"),
    ],
)
async def test_override_settings_say_what_happens_to_a_thing_that_exists(fleet, settings, attributes, outcome):
    fleet.create(changed("Resources/thing/OverrideSettings", settings))
    payload = {"attributes": {"old": "1", "location": "roof"}}
    fleet.call("CreateThing", {"thingName": "lamp-1", "thingTypeName": "bulb", "attributePayload": payload})
    made = await fleet.claim()
    got, answer = await fleet.register(made, SerialNumber="1")
    assert got == outcome
    assert fleet.call("DescribeThing", {"thingName": "lamp-1"})["attributes"] == attributes
    if outcome == "rejected":
        assert (answer["statusCode"], answer["errorCode"]) == (409, "ResourceConflicts")
        assert fleet.status(made) == "PENDING_ACTIVATION"
        assert fleet.call("ListTargetsForPolicy", {"policyName": "device"})["targets"] == []


async def test_groups_of_an_existing_thing_are_replaced_or_joined(fleet):
    fleet.call("CreateThingGroup", {"thingGroupName": "old"})
    for how, groups in (("REPLACE", ["fleet"]), ("MERGE", ["old", "fleet"]), ("DO_NOTHING", ["old"])):
        name = how.replace("_", "")
        body = changed("Resources/thing/OverrideSettings", {"ThingGroups": how, "ThingTypeName": "REPLACE"})
        fleet.create(body, name=name)
        fleet.call("CreateThing", {"thingName": f"lamp-{name}"})
        fleet.call("AddThingToThingGroup", {"thingName": f"lamp-{name}", "thingGroupName": "old"})
        assert (await fleet.register(await fleet.claim(), name, SerialNumber=name))[0] == "accepted"
        held = fleet.call("ListThingGroupsForThing", {"thingName": f"lamp-{name}"})["thingGroups"]
        assert [one["groupName"] for one in held] == groups
        assert fleet.call("DescribeThing", {"thingName": f"lamp-{name}"})["thingTypeName"] == "bulb"


async def test_what_fails_midway_leaves_the_registry_as_it_was(fleet):
    fleet.create(changed("Resources/thing/Properties/ThingGroups", ["fleet", "none"]))
    made = await fleet.claim()
    outcome, answer = await fleet.register(made, SerialNumber="1")
    assert (outcome, answer["errorCode"]) == ("rejected", "ResourceNotFound")
    assert fleet.things() == []
    assert fleet.status(made) == "PENDING_ACTIVATION"
    assert fleet.call("ListTargetsForPolicy", {"policyName": "device"})["targets"] == []


async def test_a_policy_document_in_the_template_is_made_once(fleet):
    for name, document in (("text", json.dumps(POLICY)), ("object", POLICY)):
        fleet.create(changed("Resources/policy/Properties", {"PolicyDocument": document}), name=name)
        for number in "12":
            made = await fleet.claim()
            assert (await fleet.register(made, name, SerialNumber=f"{name}{number}"))[0] == "accepted"
    assert len(fleet.call("ListPolicies", {})["policies"]) == 2  # both documents are the same text


async def test_a_certificate_may_be_named_as_the_pages_list_spells_it(fleet):
    fleet.create(changed("Resources/certificate/Properties", {"CertificateID": {"Ref": "AWS::IoT::Certificate::Id"}}))
    made = await fleet.claim()
    assert (await fleet.register(made, SerialNumber="1"))[0] == "accepted"
    assert fleet.status(made) == "ACTIVE"


async def test_a_defect_is_answered_and_leaves_the_registry_as_it_was(fleet):
    fleet.create()
    made, call = await fleet.claim(), fleet.call

    def broken(operation, ask):
        if operation == "AttachThingPrincipal":
            raise RuntimeError(operation)
        return call(operation, ask)

    fleet.call = broken
    outcome, answer = await fleet.register(made, SerialNumber="1")
    assert (outcome, answer["statusCode"], answer["errorCode"]) == ("rejected", 500, "InternalFailure")
    fleet.call = call
    assert fleet.things() == []
    assert fleet.status(made) == "PENDING_ACTIVATION"


async def test_asking_again_with_the_same_token_answers_the_same(fleet):
    fleet.create()
    made = await fleet.claim()
    first = await fleet.register(made, SerialNumber="1")
    assert await fleet.register(made, SerialNumber="1") == first
    assert fleet.things() == ["lamp-1"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("rubbish", InvalidError),
        (["x"], InvalidError),
        (changed("Resources", None), InvalidError),
        (changed("Conditions", {}), InvalidError),
        (changed("Parameters/SerialNumber", {"Type": "Number"}), InvalidError),
        (changed("Parameters/SerialNumber", None), InvalidError),
        (changed("DeviceConfiguration/where", {"Fn::Sub": "${place}"}), InvalidError),
        (changed("DeviceConfiguration/where", {"Fn::Sub": []}), InvalidError),
        (changed("DeviceConfiguration/where", {"Fn::Sub": ["${place}${x}", {"place": {"Ref": "none"}}]}), InvalidError),
        (changed("Mappings/Urls/hall", "x"), InvalidError),
        (changed("Mappings/Urls/hall/url", {"Ref": "SerialNumber"}), InvalidError),
        (changed("Resources/thing/Type", "AWS::IoT::Rule"), InvalidError),
        (changed("Resources/thing/Type", ["AWS::IoT::Thing"]), InvalidError),
        (changed("Resources/thing/OverrideSettings", {"ThingTypeName": ["FAIL"]}), InvalidError),
        (changed("Resources/thing/Properties/Colour", "red"), InvalidError),
        (changed("Resources/thing/Properties/BillingGroup", "x"), NotEmulatedError),
        (changed("Resources/thing/OverrideSettings", {"ThingTypeName": "MERGE"}), InvalidError),
        (changed("Resources/thing/OverrideSettings", {"Colour": "FAIL"}), InvalidError),
        (changed("Resources/policy/OverrideSettings", {"Status": "FAIL"}), InvalidError),
        (changed("Resources/policy/Properties/PolicyDocument", "{}"), InvalidError),
        (changed("Resources/other", {"Type": "AWS::IoT::Thing"}), InvalidError),
        (changed("DeviceConfiguration", []), InvalidError),
        (changed("DeviceConfiguration/first", 1), InvalidError),
        (changed("DeviceConfiguration/first", {"deep": "x"}), InvalidError),
    ],
)
async def test_a_template_that_cannot_work_is_refused_when_it_is_stored(fleet, body, error):
    with pytest.raises(error):
        fleet.create(body)


async def test_templates_have_versions_of_which_one_counts(fleet):
    fleet.create()
    with pytest.raises(IotError, match="already exists"):
        fleet.create()
    body = json.dumps(changed("DeviceConfiguration", {"v": "2"}))
    ask = {"templateName": "fleet", "templateBody": body}
    made = fleet.call("CreateProvisioningTemplateVersion", {**ask, "setAsDefault": True})
    assert (made["versionId"], made["isDefaultVersion"]) == (2, True)
    outcome, answer = await fleet.register(await fleet.claim(), SerialNumber="1")
    assert (outcome, answer["deviceConfiguration"]) == ("accepted", {"v": "2"})
    with pytest.raises(IotError, match="default version"):
        fleet.call("DeleteProvisioningTemplateVersion", {"templateName": "fleet", "versionId": 2})
    with pytest.raises(IotError, match="more than one version"):
        fleet.call("DeleteProvisioningTemplate", {"templateName": "fleet"})
    fleet.call("DeleteProvisioningTemplateVersion", {"templateName": "fleet", "versionId": 1})
    for _ in range(4):
        fleet.call("CreateProvisioningTemplateVersion", ask)
    with pytest.raises(IotError, match="already has 5 versions"):
        fleet.call("CreateProvisioningTemplateVersion", ask)
    listed = fleet.call("ListProvisioningTemplateVersions", {"templateName": "fleet"})["versions"]
    assert [(one["versionId"], one["isDefaultVersion"]) for one in listed] == [
        (2, True), (3, False), (4, False), (5, False), (6, False),
    ]  # fmt: skip


async def test_a_claim_for_a_trusted_user_lives_five_minutes_and_can_only_provision(fleet):
    fleet.create()
    claim = fleet.call("CreateProvisioningClaim", {"templateName": "fleet"})
    der = dump_der(x509.load_pem_x509_certificate(claim["certificatePem"].encode()))
    principal = fleet.registry.certificate(der)
    assert fleet.call("ListCertificates", {})["certificates"] == []
    ((_, document),) = fleet.registry.documents(principal)
    resources = document["Statement"][1]["Resource"]
    assert all("$aws/certificates/" in one or "$aws/provisioning-templates/fleet/" in one for one in resources)
    fleet.clock.move(timedelta(minutes=5))
    assert fleet.registry.certificate(der) is None
    assert fleet.status(claim) is None


async def test_register_thing_provisions_by_a_csr_in_its_parameters(fleet):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    body = changed("Resources/certificate/Properties", {"CertificateSigningRequest": {"Ref": "Csr"}})
    body["Parameters"]["Csr"] = {"Type": "String"}
    parameters = {"SerialNumber": "1", "Csr": csr.public_bytes(serialization.Encoding.PEM).decode()}
    made = fleet.call("RegisterThing", {"templateBody": json.dumps(body), "parameters": parameters})
    assert set(made["resourceArns"]) == {"thing", "certificate", "policy"}
    assert fleet.call("ListThingPrincipals", {"thingName": "lamp-1"})["principals"] == [
        made["resourceArns"]["certificate"]
    ]


@pytest.mark.parametrize("operation", ["UpdateCertificate", "AttachPolicy", "CreateThing", "AttachThingPrincipal"])
async def test_what_the_provisioning_role_does_not_allow_is_refused_and_nothing_of_it_stays(fleet, operation):
    fleet.create()
    made = await fleet.claim()
    fleet.forbidden = {operation}
    outcome, answer = await fleet.register(made, SerialNumber="1")
    assert (outcome, answer["statusCode"]) == ("rejected", 403)
    assert answer["errorMessage"] == f"The provisioning role does not allow iot:{operation}"
    assert (fleet.things(), fleet.status(made)) == ([], "PENDING_ACTIVATION")
    fleet.forbidden = {"UpdateThing", "CreatePolicy"}
    assert (await fleet.register(made, SerialNumber="1"))[0] == "accepted", "what is not done need not be allowed"
