"""The registry as boto3 sees it."""

import json
import ssl
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from infra.local.iot.certificates import CertificateAuthority, dump_pem
from infra.local.iot.message import Principal

DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})
ACCOUNT = "arn:aws:iot:us-east-1:123456789012"
IDENTITY = "us-east-1:11111111-2222-3333-4444-555555555555"


def refused(call, code, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


def make_csr(common_name="device-1", key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return key, csr.public_bytes(serialization.Encoding.PEM).decode()


def test_a_thing_lives_from_create_to_delete(iot):
    made = iot.create_thing(thingName="lamp", attributePayload={"attributes": {"room": "hall"}})
    assert made["thingArn"] == "arn:aws:iot:us-east-1:123456789012:thing/lamp"
    assert (
        iot.create_thing(thingName="lamp", attributePayload={"attributes": {"room": "hall"}})["thingId"]
        == (made["thingId"])
    )
    refused(iot.create_thing, "ResourceAlreadyExistsException", thingName="lamp")
    iot.update_thing(
        thingName="lamp", attributePayload={"attributes": {"floor": "1"}, "merge": True}, expectedVersion=1
    )
    refused(iot.update_thing, "VersionConflictException", thingName="lamp", expectedVersion=1)
    iot.update_thing(thingName="lamp", attributePayload={"attributes": {"room": ""}, "merge": True})
    described = iot.describe_thing(thingName="lamp")
    assert described["attributes"] == {"floor": "1"}
    assert described["version"] == 3
    assert described["defaultClientId"] == "lamp"
    refused(iot.delete_thing, "VersionConflictException", thingName="lamp", expectedVersion=9)
    iot.delete_thing(thingName="lamp")
    iot.delete_thing(thingName="lamp")
    refused(iot.describe_thing, "ResourceNotFoundException", thingName="lamp")


def test_attributes_are_three_without_a_type_and_fifty_with_one(iot):
    def attributes(count):
        return {"attributes": {f"a{index}": "x" for index in range(count)}}

    refused(iot.create_thing, "InvalidRequestException", thingName="lamp", attributePayload=attributes(4))
    refused(iot.create_thing, "ResourceNotFoundException", thingName="lamp", thingTypeName="bulb")
    iot.create_thing_type(thingTypeName="bulb", thingTypeProperties={"thingTypeDescription": "shines"})
    iot.create_thing(thingName="lamp", thingTypeName="bulb", attributePayload=attributes(50))
    refused(
        iot.update_thing,
        "InvalidRequestException",
        thingName="lamp",
        attributePayload={**attributes(51), "merge": False},
    )
    refused(iot.update_thing, "InvalidRequestException", thingName="lamp", removeThingType=True)


def test_a_thing_type_is_deprecated_for_five_minutes_before_it_goes(iot, served):
    iot.create_thing_type(thingTypeName="bulb")
    iot.create_thing(thingName="lamp", thingTypeName="bulb")
    refused(iot.delete_thing_type, "InvalidRequestException", thingTypeName="bulb")
    iot.deprecate_thing_type(thingTypeName="bulb")
    assert iot.describe_thing_type(thingTypeName="bulb")["thingTypeMetadata"]["deprecated"] is True
    refused(iot.create_thing, "InvalidRequestException", thingName="other", thingTypeName="bulb")
    refused(iot.delete_thing_type, "InvalidRequestException", thingTypeName="bulb")
    served.clock.move(timedelta(minutes=5))
    refused(iot.delete_thing_type, "InvalidRequestException", thingTypeName="bulb")
    iot.delete_thing(thingName="lamp")
    iot.delete_thing_type(thingTypeName="bulb")
    assert iot.list_thing_types()["thingTypes"] == []


def test_a_thing_type_names_three_searchable_attributes(iot):
    four = {"searchableAttributes": ["a", "b", "c", "d"]}
    refused(iot.create_thing_type, "InvalidRequestException", thingTypeName="bulb", thingTypeProperties=four)
    three = {"searchableAttributes": ["a", "b", "c"]}
    iot.create_thing_type(thingTypeName="bulb", thingTypeProperties=three)
    refused(iot.update_thing_type, "InvalidRequestException", thingTypeName="bulb", thingTypeProperties=four)
    assert iot.describe_thing_type(thingTypeName="bulb")["thingTypeProperties"] == three


def test_lists_come_in_pages(iot):
    for index in range(7):
        iot.create_thing(thingName=f"thing-{index}", attributePayload={"attributes": {"odd": str(index % 2)}})
    pages = list(iot.get_paginator("list_things").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["things"]) for page in pages] == [3, 3, 1]
    odd = iot.list_things(attributeName="odd", attributeValue="1")["things"]
    assert [thing["thingName"] for thing in odd] == ["thing-1", "thing-3", "thing-5"]
    iot.create_thing(thingName="bare")
    assert len(iot.list_things(attributeName="odd")["things"]) == 7
    assert len(iot.list_things(attributeName="odd", attributeValue="", usePrefixAttributeValue=True)["things"]) == 7
    assert iot.list_things(attributeName="odd", attributeValue="9")["things"] == []
    for token in ("rubbish!", "e30=", "Mg=="):  # no base64; no pair; of another service
        refused(iot.list_things, "InvalidRequestException", nextToken=token)


def test_whoever_deletes_page_by_page_misses_nothing(iot):
    for index in range(7):
        iot.create_thing(thingName=f"thing-{index}")
    for page in iot.get_paginator("list_things").paginate(PaginationConfig={"PageSize": 3}):
        for thing in page["things"]:
            iot.delete_thing(thingName=thing["thingName"])
    assert iot.list_things()["things"] == []
    made = {iot.create_keys_and_certificate()["certificateId"] for _ in range(5)}
    for page in iot.get_paginator("list_certificates").paginate(ascendingOrder=False, PaginationConfig={"PageSize": 2}):
        for certificate in page["certificates"]:
            made.remove(certificate["certificateId"])
            iot.delete_certificate(certificateId=certificate["certificateId"])
    assert made == set()


@pytest.mark.parametrize("name", ["a b", "x" * 129, "a/b", "ä"])
def test_a_bad_name_is_refused_with_the_constraint_it_breaks(iot, name):
    message = refused(iot.create_thing, "InvalidRequestException", thingName=name)
    assert "failed to satisfy constraint" in message


def test_groups_stand_in_hierarchies_and_hold_things(iot):
    iot.create_thing_group(thingGroupName="house")
    iot.create_thing_group(thingGroupName="floor", parentGroupName="house")
    iot.create_thing_group(thingGroupName="room", parentGroupName="floor")
    iot.create_thing_group(thingGroupName="garden")
    refused(iot.create_thing_group, "ResourceNotFoundException", thingGroupName="x", parentGroupName="none")
    refused(iot.create_thing_group, "ResourceAlreadyExistsException", thingGroupName="room")
    iot.create_thing(thingName="lamp")
    iot.add_thing_to_thing_group(thingGroupName="room", thingName="lamp")
    refused(iot.add_thing_to_thing_group, "InvalidRequestException", thingGroupName="floor", thingName="lamp")
    iot.update_thing_groups_for_thing(thingName="lamp", thingGroupsToAdd=["garden"])
    assert [one["groupName"] for one in iot.list_thing_groups_for_thing(thingName="lamp")["thingGroups"]] == [
        "room",
        "garden",
    ]
    assert iot.list_things_in_thing_group(thingGroupName="house")["things"] == []
    assert iot.list_things_in_thing_group(thingGroupName="house", recursive=True)["things"] == ["lamp"]
    room = iot.describe_thing_group(thingGroupName="room")["thingGroupMetadata"]
    assert [one["groupName"] for one in room["rootToParentThingGroups"]] == ["house", "floor"]
    refused(iot.delete_thing_group, "InvalidRequestException", thingGroupName="floor")
    iot.delete_thing_group(thingGroupName="room")
    below = iot.list_thing_groups(parentGroup="house")["thingGroups"]
    assert [one["groupName"] for one in below] == ["floor"]
    version = iot.update_thing_group(
        thingGroupName="house",
        thingGroupProperties={"attributePayload": {"attributes": {"a": "1"}}},
        expectedVersion=1,
    )["version"]
    assert version == 2
    refused(
        iot.update_thing_group,
        "VersionConflictException",
        thingGroupName="house",
        thingGroupProperties={},
        expectedVersion=1,
    )


def test_groups_stand_seven_levels_deep(iot):
    iot.create_thing_group(thingGroupName="level-1")
    for level in range(2, 8):
        iot.create_thing_group(thingGroupName=f"level-{level}", parentGroupName=f"level-{level - 1}")
    refused(iot.create_thing_group, "InvalidRequestException", thingGroupName="level-8", parentGroupName="level-7")
    iot.create_thing(thingName="lamp")
    refused(iot.add_thing_to_thing_group, "InvalidRequestException", thingName="lamp")
    refused(iot.add_thing_to_thing_group, "InvalidRequestException", thingGroupName="level-1")


def test_a_certificate_with_keys_has_the_hash_of_its_der_as_id_and_fits_its_key(iot, served, tmp_path):
    made = iot.create_keys_and_certificate(setAsActive=True)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.fingerprint(hashes.SHA256()).hex() == made["certificateId"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(served.authority.pem.encode()))
    (tmp_path / "c.pem").write_text(made["certificatePem"])
    (tmp_path / "k.pem").write_text(made["keyPair"]["PrivateKey"])
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    described = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert described["status"] == "ACTIVE"
    assert described["validity"]["notAfter"].year == 2049


def test_a_certificate_from_a_csr_carries_its_key_and_subject(iot):
    key, csr = make_csr("my-device")
    made = iot.create_certificate_from_csr(certificateSigningRequest=csr)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=my-device"
    assert iot.list_certificates()["certificates"][0]["status"] == "INACTIVE"
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        pem = iot.create_certificate_from_csr(certificateSigningRequest=make_csr(key=key)[1])["certificatePem"]
        assert x509.load_pem_x509_certificate(pem.encode()).public_key() == key.public_key()
    weak = [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())]
    for rubbish in ("rubbish", csr[:-60], *(make_csr(key=key)[1] for key in weak)):
        refused(iot.create_certificate_from_csr, "InvalidRequestException", certificateSigningRequest=rubbish)


def test_certificates_move_between_statuses_as_documented(iot):
    made = iot.create_keys_and_certificate(setAsActive=True)
    name, arn = made["certificateId"], made["certificateArn"]
    iot.create_policy(policyName="all", policyDocument=DOCUMENT)
    iot.attach_policy(policyName="all", target=arn)
    iot.create_thing(thingName="lamp")
    iot.attach_thing_principal(thingName="lamp", principal=arn)
    for status in ("PENDING_TRANSFER", "PENDING_ACTIVATION", "REGISTER_INACTIVE"):
        refused(iot.update_certificate, "InvalidRequestException", certificateId=name, newStatus=status)
    refused(iot.update_certificate, "InvalidRequestException", certificateId=name, newStatus="LOST")
    refused(iot.delete_certificate, "CertificateStateException", certificateId=name)
    iot.update_certificate(certificateId=name, newStatus="REVOKED")
    refused(iot.delete_certificate, "DeleteConflictException", certificateId=name, forceDelete=True)
    refused(iot.delete_thing, "InvalidRequestException", thingName="lamp")
    iot.detach_thing_principal(thingName="lamp", principal=arn)
    refused(iot.delete_certificate, "DeleteConflictException", certificateId=name)
    iot.delete_certificate(certificateId=name, forceDelete=True)
    refused(iot.describe_certificate, "ResourceNotFoundException", certificateId=name)
    assert iot.list_targets_for_policy(policyName="all")["targets"] == []


def test_only_certificates_of_our_ca_can_be_registered(iot, tmp_path):
    made = iot.create_keys_and_certificate()
    refused(iot.register_certificate, "ResourceAlreadyExistsException", certificatePem=made["certificatePem"])
    iot.delete_certificate(certificateId=made["certificateId"])
    iot.register_certificate_without_ca(certificatePem=made["certificatePem"], status="ACTIVE")
    refused(iot.register_certificate, "CertificateValidationException", certificatePem="rubbish")
    other, _, _ = CertificateAuthority(tmp_path / "other").issue()
    message = refused(iot.register_certificate, "NotImplementedException", certificatePem=dump_pem(other))
    assert message.startswith("not emulated: certificates signed by another CA")


def test_policies_have_five_versions_one_of_which_counts(iot):
    made = iot.create_policy(policyName="all", policyDocument=DOCUMENT)
    assert made["policyVersionId"] == "1"
    refused(iot.create_policy, "ResourceAlreadyExistsException", policyName="all", policyDocument=DOCUMENT)
    refused(iot.create_policy, "MalformedPolicyException", policyName="bad", policyDocument="[" * 2048)
    message = refused(iot.create_policy, "MalformedPolicyException", policyName="bad", policyDocument="{}")
    assert message.startswith("Policy document is Malformed")
    for number in range(2, 6):
        made = iot.create_policy_version(policyName="all", policyDocument=DOCUMENT, setAsDefault=number == 3)
        assert made["policyVersionId"] == str(number)
    refused(iot.create_policy_version, "VersionsLimitExceededException", policyName="all", policyDocument=DOCUMENT)
    refused(iot.delete_policy_version, "DeleteConflictException", policyName="all", policyVersionId="3")
    refused(iot.delete_policy, "DeleteConflictException", policyName="all")
    refused(iot.get_policy_version, "ResourceNotFoundException", policyName="all", policyVersionId="9")
    iot.set_default_policy_version(policyName="all", policyVersionId="5")
    for number in range(1, 5):
        iot.delete_policy_version(policyName="all", policyVersionId=str(number))
    assert iot.get_policy(policyName="all")["defaultVersionId"] == "5"
    assert [one["versionId"] for one in iot.list_policy_versions(policyName="all")["policyVersions"]] == ["5"]
    iot.delete_policy(policyName="all")
    refused(iot.get_policy, "ResourceNotFoundException", policyName="all")


def test_a_target_takes_ten_policies(iot):
    arn = iot.create_keys_and_certificate()["certificateArn"]
    for number in range(11):
        iot.create_policy(policyName=f"p{number}", policyDocument=DOCUMENT)
    for number in range(10):
        iot.attach_policy(policyName=f"p{number}", target=arn)
    iot.attach_policy(policyName="p0", target=arn)
    refused(iot.attach_policy, "LimitExceededException", policyName="p10", target=arn)
    refused(iot.attach_policy, "ResourceNotFoundException", policyName="none", target=arn)
    refused(iot.attach_policy, "InvalidRequestException", policyName="p10", target="someone")
    refused(iot.attach_policy, "ResourceNotFoundException", policyName="p10", target=arn[:-4] + "0000")
    iot.attach_policy(policyName="p10", target=IDENTITY)
    assert iot.list_attached_policies(target=IDENTITY)["policies"][0]["policyName"] == "p10"
    assert iot.list_principal_policies(principal=arn)["policies"][9]["policyName"] == "p9"


def test_effective_policies_pool_the_principals_and_its_groups_ancestors(iot, served):
    made = iot.create_keys_and_certificate(setAsActive=True)
    arn = made["certificateArn"]
    for name in ("own", "house", "other"):
        iot.create_policy(policyName=name, policyDocument=DOCUMENT)
    iot.create_thing_group(thingGroupName="house")
    iot.create_thing_group(thingGroupName="room", parentGroupName="house")
    iot.create_thing(thingName="lamp")
    iot.add_thing_to_thing_group(thingGroupName="room", thingName="lamp")
    iot.attach_thing_principal(thingName="lamp", principal=arn)
    iot.attach_policy(policyName="own", target=arn)
    iot.attach_policy(policyName="house", target="arn:aws:iot:us-east-1:123456789012:thinggroup/house")
    effective = iot.get_effective_policies(principal=arn)["effectivePolicies"]
    assert [one["policyName"] for one in effective] == ["own", "house"]
    of_thing = iot.get_effective_policies(thingName="lamp")["effectivePolicies"]
    assert [one["policyName"] for one in of_thing] == ["house"]
    iot.create_thing(thingName="other")
    of_both = iot.get_effective_policies(principal=arn, thingName="other")["effectivePolicies"]
    assert [one["policyName"] for one in of_both] == ["own"]
    refused(iot.get_effective_policies, "ResourceNotFoundException", principal=arn, thingName="none")
    refused(iot.get_effective_policies, "InvalidRequestException")
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    der = certificate.public_bytes(serialization.Encoding.DER)
    principal = served.registry.certificate(der)
    assert principal == Principal(kind="certificate", id=made["certificateId"], certificate_der=der)
    assert [name for name, _ in served.registry.documents(principal)] == ["own", "house"]
    assert served.registry.thing(principal, "lamp").name == "lamp"
    assert served.registry.thing(principal, "other") is None
    assert [name for name, _ in served.registry.documents(principal, "lamp")] == ["own", "house"]
    assert [name for name, _ in served.registry.documents(principal, "other")] == ["own"]
    iot.detach_thing_principal(thingName="lamp", principal=arn)
    iot.attach_thing_principal(thingName="lamp", principal=arn, thingPrincipalType="EXCLUSIVE_THING")
    assert [name for name, _ in served.registry.documents(principal, "other")] == ["own", "house"]
    iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    assert served.registry.certificate(der) is None
    assert served.registry.documents(principal) == ()


def test_every_change_is_told_and_no_question_is(iot, served):
    told = []
    served.registry.on_change(lambda: told.append(1))
    iot.create_thing(thingName="lamp")
    iot.describe_thing(thingName="lamp")
    iot.list_things()
    refused(iot.delete_policy, "ResourceNotFoundException", policyName="none")
    assert len(told) == 1
    iot.update_thing(thingName="lamp", attributePayload={"attributes": {"a": "b"}})
    assert len(told) == 2


def test_authorizers_are_kept_for_the_doors(iot, served):
    function = "arn:aws:lambda:us-east-1:123456789012:function:authorize"
    refused(iot.create_authorizer, "InvalidRequestException", authorizerName="jwt", authorizerFunctionArn=function)
    signing = {"tokenKeyName": "key", "tokenSigningPublicKeys": {"one": "rubbish"}}
    refused(
        iot.create_authorizer, "InvalidRequestException", authorizerName="k", authorizerFunctionArn=function, **signing
    )
    iot.create_authorizer(authorizerName="jwt", authorizerFunctionArn=function, signingDisabled=True, status="ACTIVE")
    assert served.registry.authorizer("jwt").function_arn == function
    assert served.registry.authorizer(None) is None
    refused(iot.describe_default_authorizer, "ResourceNotFoundException")
    iot.set_default_authorizer(authorizerName="jwt")
    refused(iot.set_default_authorizer, "ResourceAlreadyExistsException", authorizerName="jwt")
    assert served.registry.authorizer(None).name == "jwt"
    refused(iot.delete_authorizer, "DeleteConflictException", authorizerName="jwt")
    iot.update_authorizer(authorizerName="jwt", status="INACTIVE")
    iot.clear_default_authorizer()
    assert served.registry.authorizer("jwt") is None
    assert iot.describe_authorizer(authorizerName="jwt")["authorizerDescription"]["status"] == "INACTIVE"
    assert len(iot.list_authorizers(status="INACTIVE")["authorizers"]) == 1
    iot.delete_authorizer(authorizerName="jwt")


def test_the_data_endpoint_is_ours_and_others_are_refused(iot):
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] == "127.0.0.1:8443"
    message = refused(iot.describe_endpoint, "NotImplementedException", endpointType="iot:CredentialProvider")
    assert message == "not emulated: DescribeEndpoint of iot:CredentialProvider"
    refused(iot.describe_endpoint, "InvalidRequestException", endpointType="iot:What")


def test_tags_given_at_creation_can_be_listed(iot):
    arn = iot.create_policy(policyName="all", policyDocument=DOCUMENT, tags=[{"Key": "stage", "Value": "dev"}])[
        "policyArn"
    ]
    iot.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": "x"}])
    iot.untag_resource(resourceArn=arn, tagKeys=["stage"])
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "team", "Value": "x"}]
    refused(iot.tag_resource, "InvalidRequestException", resourceArn=arn, tags=tags_of(range(50)))
    iot.delete_policy(policyName="all")
    refused(iot.list_tags_for_resource, "ResourceNotFoundException", resourceArn=arn)
    iot.create_policy(policyName="all", policyDocument=DOCUMENT)
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == []


def tags_of(numbers):
    return [{"Key": f"k{number}", "Value": "v"} for number in numbers]


@pytest.mark.parametrize(
    "arn", [f"{ACCOUNT}:policy/none", f"{ACCOUNT}:cert/x", "arn:aws:iot:eu-west-1:1:policy/all", "x"]
)
def test_what_is_not_there_takes_no_tags(iot, arn):
    iot.create_policy(policyName="all", policyDocument=DOCUMENT)
    refused(iot.tag_resource, "ResourceNotFoundException", resourceArn=arn, tags=tags_of([1]))
    refused(iot.untag_resource, "ResourceNotFoundException", resourceArn=arn, tagKeys=["k1"])
    refused(iot.list_tags_for_resource, "ResourceNotFoundException", resourceArn=arn)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("create_dynamic_thing_group", {"thingGroupName": "x", "queryString": "a:b"}),
        ("create_job", {"jobId": "j", "targets": ["t"]}),
        ("search_index", {"queryString": "*"}),
        ("test_invoke_authorizer", {"authorizerName": "x"}),
        ("register_ca_certificate", {"caCertificate": "x"}),
    ],
)
def test_what_is_not_there_says_so_by_name(iot, operation, arguments):
    message = refused(getattr(iot, operation), "NotImplementedException", **arguments)
    wanted = iot.meta.method_to_api_mapping[operation]
    assert message == f"not emulated: {wanted}"


def test_the_port_opens_to_nobody_without_the_secret(served):
    client = served.client("iot", "iot", secret="guess")
    with pytest.raises(ClientError) as caught:
        client.list_things()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    client.close()


def test_the_older_and_smaller_operations_do_what_they_say(iot):
    arn = iot.create_keys_and_certificate()["certificateArn"]
    iot.create_policy(policyName="all", policyDocument=DOCUMENT)
    iot.attach_principal_policy(policyName="all", principal=arn)
    assert iot.list_policy_principals(policyName="all")["principals"] == [arn]
    iot.detach_principal_policy(policyName="all", principal=arn)
    assert iot.list_principal_policies(principal=arn)["policies"] == []
    iot.create_thing(thingName="lamp")
    iot.attach_thing_principal(thingName="lamp", principal=IDENTITY)
    kind = "NON_EXCLUSIVE_THING"
    assert iot.list_thing_principals_v2(thingName="lamp")["thingPrincipalObjects"] == [
        {"principal": IDENTITY, "thingPrincipalType": kind}
    ]
    assert iot.list_principal_things_v2(principal=IDENTITY)["principalThingObjects"] == [
        {"thingName": "lamp", "thingPrincipalType": kind}
    ]
    iot.create_thing_group(thingGroupName="house")
    iot.add_thing_to_thing_group(thingGroupName="house", thingName="lamp")
    iot.remove_thing_from_thing_group(thingGroupName="house", thingName="lamp")
    assert iot.list_thing_groups_for_thing(thingName="lamp")["thingGroups"] == []
    iot.create_thing_type(thingTypeName="bulb")
    iot.update_thing_type(thingTypeName="bulb", thingTypeProperties={"thingTypeDescription": "shines"})
    properties = iot.describe_thing_type(thingTypeName="bulb")["thingTypeProperties"]
    assert properties["thingTypeDescription"] == "shines"


def test_a_certificate_attached_exclusively_has_one_thing(iot):
    arn, other = (iot.create_keys_and_certificate()["certificateArn"] for _ in range(2))
    for name in ("lamp", "fan"):
        iot.create_thing(thingName=name)
    kind = {"thingPrincipalType": "EXCLUSIVE_THING"}
    iot.attach_thing_principal(thingName="lamp", principal=arn, **kind)
    assert iot.list_principal_things_v2(principal=arn)["principalThingObjects"] == [{"thingName": "lamp", **kind}]
    iot.attach_thing_principal(thingName="lamp", principal=other)
    assert iot.list_thing_principals_v2(thingName="lamp", **kind)["thingPrincipalObjects"] == [
        {"principal": arn, **kind}
    ]
    refused(iot.attach_thing_principal, "InvalidRequestException", thingName="fan", principal=arn)
    refused(iot.attach_thing_principal, "InvalidRequestException", thingName="fan", principal=other, **kind)
    refused(iot.attach_thing_principal, "InvalidRequestException", thingName="fan", principal=IDENTITY, **kind)


def test_provisioning_templates_as_resources(iot):
    body = json.dumps({"Resources": {"policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "all"}}}})
    hook = {"targetArn": "arn:aws:lambda:us-east-1:123456789012:function:hook", "payloadVersion": "2020-04-01"}
    ask = {"templateName": "fleet", "provisioningRoleArn": "arn:aws:iam::123456789012:role/r", "templateBody": body}
    made = iot.create_provisioning_template(**ask, description="d", preProvisioningHook=hook)
    assert made["templateArn"] == "arn:aws:iot:us-east-1:123456789012:provisioningtemplate/fleet"
    refused(iot.create_provisioning_template, "ResourceAlreadyExistsException", **ask)
    refused(iot.create_provisioning_template, "InvalidRequestException", **{**ask, "templateBody": "{}"})
    message = refused(iot.create_provisioning_template, "NotImplementedException", **{**ask, "type": "JITP"})
    assert message == "not emulated: provisioning templates of type JITP"
    described = iot.describe_provisioning_template(templateName="fleet")
    assert (described["enabled"], described["preProvisioningHook"], described["defaultVersionId"]) == (False, hook, 1)
    iot.create_provisioning_template_version(templateName="fleet", templateBody=body)
    iot.update_provisioning_template(templateName="fleet", enabled=True, defaultVersionId=2)
    refused(iot.update_provisioning_template, "ResourceNotFoundException", templateName="fleet", defaultVersionId=9)
    refused(iot.delete_provisioning_template, "DeleteConflictException", templateName="fleet")
    refused(iot.delete_provisioning_template_version, "DeleteConflictException", templateName="fleet", versionId=2)
    iot.delete_provisioning_template_version(templateName="fleet", versionId=1)
    version = iot.describe_provisioning_template_version(templateName="fleet", versionId=2)
    assert (version["templateBody"], version["isDefaultVersion"]) == (body, True)
    iot.update_provisioning_template(templateName="fleet", removePreProvisioningHook=True)
    assert "preProvisioningHook" not in iot.describe_provisioning_template(templateName="fleet")
    assert [one["templateName"] for one in iot.list_provisioning_templates()["templates"]] == ["fleet"]
    iot.delete_provisioning_template(templateName="fleet")
    refused(iot.describe_provisioning_template, "ResourceNotFoundException", templateName="fleet")


def test_what_is_no_request_is_refused_and_changes_nothing(served):
    import urllib.error
    import urllib.request

    def ask(method, path, body=b"", headers=()):
        request = urllib.request.Request(f"http://127.0.0.1:{served.port}{path}", body, method=method)
        for name, value in {"x-fieldline-secret": "s3cret", "x-fieldline-service": "iot", **dict(headers)}.items():
            request.add_header(name, value)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=60)
        with caught.value as error:
            return error.status, error.headers["x-amzn-errortype"]

    invalid = (400, "InvalidRequestException")
    assert ask("POST", "/things/lamp", b"rubbish") == invalid
    assert ask("POST", "/things/lamp", b"[1]") == invalid
    assert ask("POST", "/things/lamp", b'{"attributePayload": 5}') == invalid
    assert ask("POST", "/things/lamp", b'{"attributePayload": {"attributes": {"a": 5}}}') == invalid
    assert ask("GET", "/things?maxResults=x") == invalid
    assert ask("GET", "/things?maxResults=251") == invalid
    assert ask("POST", "/certificates", b"{}") == invalid
    assert ask("PATCH", "/things/lamp", b'{"attributePayload": {"attributes": null}}') == (
        404,
        "ResourceNotFoundException",
    )
    assert ask("POST", "/things/lamp", b"[" * 100_000) == invalid
    assert ask("POST", "/things/lamp", b" " * 2**21) == (413, "RequestEntityTooLargeException")
    assert ask("GET", "/nothing/of/the/kind") == (501, "NotImplementedException")
    assert not served.registry.state.things
