"""The Lambda API as boto3 sees it."""

import asyncio
import base64
import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

from infra.local.functions import LambdaError
from infra.local.wire import Caller
from tests.integration.functions.stage import OWNER, ROLE, Stage, until

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"


async def refused(awaitable) -> tuple[str, str]:
    """Return code and message of the error a call ends with."""
    with pytest.raises(ClientError) as caught:
        await awaitable
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


async def test_a_function_is_created_shown_changed_listed_and_deleted(tmp_path):
    async with Stage(tmp_path) as stage:
        made = await stage.create(
            "f", "app.echo", Description="d", Environment={"Variables": {"COLOUR": "1"}}, Tags={"k": "v"}
        )
        assert (made["FunctionArn"], made["Version"], made["State"]) == (ARN, "$LATEST", "Active")

        shown = await stage.call("get_function", FunctionName=ARN)
        assert shown["Configuration"]["Environment"] == {"Variables": {"COLOUR": "1"}}
        assert shown["Tags"] == {"k": "v"}

        await stage.call("update_function_configuration", FunctionName="f", Timeout=20, MemorySize=512)
        shown = await stage.call("get_function_configuration", FunctionName="f")
        assert (shown["Timeout"], shown["MemorySize"], shown["Handler"]) == (20, 512, "app.echo")

        listed = await stage.call("list_functions")
        assert [each["FunctionName"] for each in listed["Functions"]] == ["f"]

        await stage.call("delete_function", FunctionName="f")
        code, message = await refused(stage.call("get_function", FunctionName="f"))
        assert (code, message) == ("ResourceNotFoundException", f"Function not found: {ARN}")


async def test_what_is_wrong_or_not_carried_is_refused_by_name(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        assert (await refused(stage.create("f")))[0] == "ResourceConflictException"
        code = {"S3Bucket": "local-directory", "S3Key": str(stage.code)}
        for settings in (
            {"Timeout": 901},
            {"MemorySize": 10_241},
            {"Runtime": "nodejs22.x"},
            {"VpcConfig": {"SubnetIds": ["s"], "SecurityGroupIds": ["g"]}},
            {"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"]},
            {"Environment": {"Variables": {"AWS_REGION": "x"}}},
            {"Environment": {"Variables": {"X": "shorter than AWS takes"}}},
            {"Code": {"S3Bucket": "local-directory", "S3Key": "/nowhere"}},
            {"Code": {"ZipFile": b"no zip"}},
        ):
            parameters = {"Runtime": "python3.13", "Timeout": 3, "Code": code} | settings
            kind, message = await refused(
                stage.call("create_function", FunctionName="g", Role=ROLE, Handler="app.act", **parameters)
            )
            outside = "Timeout" in settings or "MemorySize" in settings or "'environment.variables'" in message
            assert kind == ("ValidationException" if outside else "InvalidParameterValueException"), message
        assert (await refused(stage.call("list_layers")))[0] == "NotEmulated"


async def test_a_zip_is_code_too_and_new_code_replaces_it(tmp_path):
    def zipped(answer: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("main.py", f"def handler(event, context): return {answer!r}")
        return buffer.getvalue()

    async with Stage(tmp_path) as stage:
        settings = {"Role": ROLE, "Handler": "main.handler", "Runtime": "python3.13"}
        await stage.call("create_function", FunctionName="f", Code={"ZipFile": zipped("one")}, **settings)
        assert (await stage.invoke("f"))[0] == "one"

        changed = await stage.call("update_function_code", FunctionName="f", ZipFile=zipped("two"), Publish=True)

        assert changed["Version"] == "1"
        assert (await stage.invoke("f"))[0] == "two"
        assert (await stage.invoke("f:1"))[0] == "two"


async def test_invoke_answers_with_its_headers(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        answer = await stage.call("invoke", FunctionName="f", Payload=b'{"print": "hi"}', LogType="Tail")
        assert (answer["StatusCode"], answer["ExecutedVersion"], answer["Payload"]) == (200, "$LATEST", b'"done"')
        assert "FunctionError" not in answer
        assert "\nhi\n" in base64.b64decode(answer["LogResult"]).decode()

        failed = await stage.call("invoke", FunctionName="f", Payload=b'{"raise": "x"}')
        assert (failed["StatusCode"], failed["FunctionError"]) == (200, "Unhandled")
        assert json.loads(failed["Payload"])["errorType"] == "ValueError"


async def test_a_dry_run_runs_nothing(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        answer = await stage.call("invoke", FunctionName="f", InvocationType="DryRun")

        assert answer["StatusCode"] == 204
        assert stage.runs() == []


async def test_client_context_and_the_callers_identity_pass_through(tmp_path):
    phone = Caller(
        arn="arn:aws:sts::123456789012:assumed-role/phone/s",
        kind="cognito",
        cognito_identity_id="us-east-1:i",
        cognito_identity_pool_id="us-east-1:p",
    )
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        context = base64.b64encode(b'{"custom": {"a": "b"}}').decode()

        answer = await stage.call("invoke", FunctionName="f", ClientContext=context, caller=phone)

        shown = json.loads(answer["Payload"])
        assert shown["identity"] == ["us-east-1:i", "us-east-1:p"]
        assert shown["client"] == [None, {"a": "b"}, None]
        large = base64.b64encode(b'{"custom": "' + b"x" * 3583 + b'"}').decode()
        assert (await refused(stage.call("invoke", FunctionName="f", ClientContext=large)))[
            0
        ] == "RequestTooLargeException"


async def test_payloads_have_their_limits(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        too_large = b'"' + b"x" * 6_291_456 + b'"'

        assert (await refused(stage.call("invoke", FunctionName="f", Payload=too_large)))[
            0
        ] == "RequestTooLargeException"
        event = {"FunctionName": "f", "InvocationType": "Event"}
        assert (await refused(stage.call("invoke", **event, Payload=too_large[:1_048_576] + b'"')))[
            0
        ] == "RequestTooLargeException"
        assert (await refused(stage.call("invoke", FunctionName="f", Payload=b"{")))[
            0
        ] == "InvalidRequestContentException"


async def test_versions_keep_their_settings_and_aliases_move(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.environment", Environment={"Variables": {"VALUE": "one"}})
        first = await stage.call("publish_version", FunctionName="f")
        again = await stage.call("publish_version", FunctionName="f")
        assert first["Version"] == again["Version"] == "1"
        await stage.call("update_function_configuration", FunctionName="f", Environment={"Variables": {"VALUE": "two"}})
        assert (await stage.call("publish_version", FunctionName="f"))["Version"] == "2"
        alias = await stage.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1")

        assert (await stage.invoke("f:1"))[0]["VALUE"] == "one"
        assert (await stage.invoke("f"))[0]["VALUE"] == "two"
        answer, result = await stage.invoke(alias["AliasArn"])
        assert (answer["VALUE"], answer["AWS_LAMBDA_FUNCTION_VERSION"], result.version) == ("one", "1", "1")

        await stage.call("update_alias", FunctionName="f", Name="live", FunctionVersion="2")
        assert (await stage.call("invoke", FunctionName="f", Qualifier="live"))["ExecutedVersion"] == "2"
        assert (await refused(stage.call("delete_function", FunctionName="f", Qualifier="2")))[
            0
        ] == "ResourceConflictException"
        assert (await refused(stage.call("get_alias", FunctionName="f", Name="none")))[0] == "ResourceNotFoundException"


async def test_an_aliass_weights_share_invocations(tmp_path):
    shares = iter([0.0, 0.29, 0.3, 0.99])
    async with Stage(tmp_path, random_share=lambda: next(shares)) as stage:
        await stage.create("f", "app.echo")
        await stage.call("publish_version", FunctionName="f")
        await stage.call("update_function_configuration", FunctionName="f", Timeout=9)
        await stage.call("publish_version", FunctionName="f")
        weights = {"AdditionalVersionWeights": {"2": 0.3}}
        await stage.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1", RoutingConfig=weights)

        versions = [(await stage.invoke("f:live"))[1].version for _ in range(4)]

        assert versions == ["2", "2", "1", "1"]


async def test_reserved_concurrency_throttles(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        await stage.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=1)
        running = asyncio.create_task(stage.invoke("f", {"sleep": 2}))
        await until(stage.runs)

        with pytest.raises(LambdaError) as caught:
            await stage.invoke("f")
        assert (caught.value.code, caught.value.status) == ("TooManyRequestsException", 429)
        assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert (await running)[0] == "done"

        await stage.call("delete_function_concurrency", FunctionName="f")
        assert (await stage.invoke("f"))[0] == "done"


async def test_a_service_invokes_only_where_a_resource_policy_lets_it(tmp_path):
    rule = "arn:aws:iot:us-east-1:123456789012:rule/r"
    iot = Caller(arn="iot.amazonaws.com", kind="service", source_arn=rule)
    other = Caller(arn="iot.amazonaws.com", kind="service", source_arn=rule + "2")
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        assert (await refused(stage.call("invoke", FunctionName="f", caller=iot)))[0] == "AccessDeniedException"

        permission = {"Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com", "SourceArn": rule}
        await stage.call("add_permission", FunctionName="f", StatementId="s", **permission)

        assert (await stage.call("invoke", FunctionName="f", caller=iot))["Payload"] == b'"done"'
        code, message = await refused(stage.call("invoke", FunctionName="f", caller=other))
        assert code == "AccessDeniedException"
        assert message.startswith(
            f"User: iot.amazonaws.com is not authorized to perform: lambda:InvokeFunction on resource: {ARN}"
        )
        statement = json.loads((await stage.call("get_policy", FunctionName="f"))["Policy"])["Statement"][0]
        assert statement["Principal"] == {"Service": "iot.amazonaws.com"}
        assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": rule}}
        await stage.call("remove_permission", FunctionName="f", StatementId="s")
        assert (await refused(stage.call("get_policy", FunctionName="f")))[0] == "ResourceNotFoundException"


async def test_the_accounts_concurrency_throttles_those_who_hold_a_connection(tmp_path, monkeypatch):
    monkeypatch.setattr("infra.local.functions.service.MAX_CONCURRENCY", 2)
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        running = [asyncio.create_task(stage.invoke("f", {"sleep": 1})) for _ in range(2)]
        await until(stage.runs)

        with pytest.raises(LambdaError) as caught:
            await stage.invoke("f")
        assert caught.value.reason == "ConcurrentInvocationLimitExceeded"
        await stage.functions.invoke_async("f", b"{}", caller=OWNER)
        assert [answer for answer, _ in await asyncio.gather(*running)] == ["done", "done"]


async def test_a_function_is_meant_by_name_partial_or_full_arn_of_this_account_and_region(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        for reference in ("f", "function:f", "123456789012:function:f", ARN, f"{ARN}:$LATEST"):
            assert (await stage.call("invoke", FunctionName=reference))["StatusCode"] == 200

        elsewhere = ARN.replace("us-east-1", "eu-west-1")
        code, message = await refused(stage.call("invoke", FunctionName=elsewhere))
        assert (code, message) == (
            "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        )
        for foreign in (ARN.replace("123456789012", "999999999999"), "999999999999:function:f"):
            assert (await refused(stage.call("invoke", FunctionName=foreign)))[0] == "AccessDeniedException"


async def test_what_the_api_s_model_does_not_let_through_is_a_validation_error(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        for parameters in ({"InvocationType": "Later"}, {"LogType": "Head"}, {"Qualifier": "a b"}):
            code, message = await refused(stage.call("invoke", FunctionName="f", **parameters))
            assert (code, message[:29]) == ("ValidationException", "1 validation error detected: ")
        assert (await refused(stage.call("invoke", FunctionName="a b")))[0] == "ValidationException"
        assert (await refused(stage.call("invoke", FunctionName="f", Payload=b"NaN")))[0] == (
            "InvalidRequestContentException"
        )


async def test_arns_are_qualified_as_they_were_asked_for(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        await stage.call("publish_version", FunctionName="f")
        await stage.call("create_alias", FunctionName="f", Name="live", FunctionVersion="1")

        shown = await stage.call("get_function", FunctionName="f", Qualifier="live")
        assert (shown["Configuration"]["FunctionArn"], shown["Configuration"]["Version"]) == (f"{ARN}:live", "1")
        assert (await stage.call("get_function_configuration", FunctionName="f"))["FunctionArn"] == ARN
        versions = (await stage.call("list_versions_by_function", FunctionName="f"))["Versions"]
        assert [each["FunctionArn"] for each in versions] == [f"{ARN}:$LATEST", f"{ARN}:1"]
        functions = (await stage.call("list_functions", FunctionVersion="ALL"))["Functions"]
        assert [each["FunctionArn"] for each in functions] == [f"{ARN}:$LATEST", f"{ARN}:1"]


async def test_an_alias_that_aws_would_not_make_is_refused(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", "app.echo")
        await stage.call("publish_version", FunctionName="f")
        for code, alias in (
            ("ValidationException", {"Name": "12", "FunctionVersion": "1"}),
            ("ValidationException", {"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(**{"2": 2.0})}),
            ("InvalidParameterValueException",
             {"Name": "a", "FunctionVersion": "1", "RoutingConfig": weights(**{"1": 0.5})}),
            ("InvalidParameterValueException",
             {"Name": "a", "FunctionVersion": "$LATEST", "RoutingConfig": weights(**{"1": 0.5})}),
            ("ResourceNotFoundException", {"Name": "a", "FunctionVersion": "7"}),
        ):  # fmt: skip
            assert (await refused(stage.call("create_alias", FunctionName="f", **alias)))[0] == code


def weights(**shares: float) -> dict[str, dict[str, float]]:
    return {"AdditionalVersionWeights": shares}
