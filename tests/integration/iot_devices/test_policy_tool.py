"""``scripts/cloud policy`` about a principal of a running local cloud."""

import json

from infra.local.iot.policy.cli import ask_registry

PREFIX = "arn:aws:iot:us-east-1:123456789012"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "iot:Publish",
            "Resource": f"{PREFIX}:topic/dt/${{iot:Connection.Thing.ThingName}}/${{iot:CertificateId}}",
        }
    ],
}


def test_the_tool_judges_as_the_gateway_would(iot):
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="device", policyDocument=json.dumps(DOCUMENT))
    iot.attach_policy(policyName="device", target=made["certificateArn"])
    iot.create_thing(thingName="lamp")
    iot.attach_thing_principal(thingName="lamp", principal=made["certificateArn"])
    resource = f"{PREFIX}:topic/dt/lamp/{made['certificateId']}"
    for principal in (made["certificateId"], made["certificateArn"]):
        answer = ask_registry(iot, principal, "iot:Publish", resource, "lamp")
        assert answer == {"decision": "allow", "by": "device[0]", "considered": []}
    for client_id in ("", "other"):
        answer = ask_registry(iot, made["certificateId"], "iot:Publish", resource, client_id)
        assert (answer["decision"], answer["by"]) == ("deny", "default")
        [considered] = answer["considered"]
        assert (considered["statement"], considered["effect"]) == ("device[0]", "Allow")
        assert considered["mismatch"].startswith("resource")
    iot.create_thing_group(thingGroupName="house")
    iot.add_thing_to_thing_group(thingGroupName="house", thingName="lamp")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iot.create_policy(policyName="house", policyDocument=document)
    iot.attach_policy(policyName="house", target=f"{PREFIX}:thinggroup/house")
    for client_id, decision in (("", "allow"), ("lamp", "allow"), ("other", "deny")):
        answer = ask_registry(iot, made["certificateId"], "iot:Connect", f"{PREFIX}:client/x", client_id)
        assert answer["decision"] == decision
    identity = "us-east-1:11111111-2222-3333-4444-555555555555"
    for client_id in ("", "x"):
        assert ask_registry(iot, identity, "iot:Connect", f"{PREFIX}:client/x", client_id)["decision"] == "deny"
    iot.attach_policy(policyName="house", target=identity)
    for client_id in ("", "x"):
        assert ask_registry(iot, identity, "iot:Connect", f"{PREFIX}:client/x", client_id)["decision"] == "allow"
