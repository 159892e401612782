"""Our verifier believes what botocore signs, and nothing touched afterwards; botocore signs as our signer does."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import get_current_datetime
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from infra.local.credentials import Credentials
from infra.local.sigv4 import SignatureError, sign, verify

KEY, SECRET = "AKIAEXAMPLE", "secret/+="
HOST = "127.0.0.1:4566"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
odd = text | st.sampled_from(["a b", "~", "*'()!", "+", "%2F", "å/ß", ":", "=", "&", "arn:aws:lambda:x"])
segments = st.lists(odd.filter(lambda s: s not in (".", "..")), max_size=4)
queries = st.lists(st.tuples(odd.filter(bool), odd), max_size=4)
bodies = st.binary(max_size=40)
tokens = st.none() | st.sampled_from(["token", "to/ken+=="])
services = st.sampled_from(["dynamodb", "lambda", "s3", "iotdata", "execute-api"])


def now():
    return get_current_datetime().replace(tzinfo=UTC)


def secret_for(access_key_id, _token):
    return SECRET if access_key_id == KEY else None


def url_of(parts, pairs, service=""):
    # A slash inside a segment is no part of an S3 key's spelling: S3 knows the decoded key only.
    path = "/" + "/".join(quote(part, safe="-_.~/" if service == "s3" else "-_.~") for part in parts)
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    return f"http://{HOST}{path}" + (f"?{query}" if query else "")


def sent(request):
    """What arrives: method, raw path, raw query, headers in lower case, body."""
    prepared = request.prepare()
    split = urlsplit(prepared.url)
    headers = {"host": HOST}
    for name, value in prepared.headers.items():
        headers[name.lower()] = value.decode() if isinstance(value, bytes) else str(value)
    body = prepared.body or b""
    return [
        prepared.method,
        split.path or "/",
        split.query,
        headers,
        body if isinstance(body, bytes) else body.encode(),
    ]


def check(parts, **more):
    return verify(*parts, secret_for=secret_for, now=more.get("now", now()))


@settings(max_examples=120, deadline=None)
@given(segments, queries, bodies, tokens, services)
@example(["bucket", "a b+c~*'()!", "..x"], [("list-type", "2"), ("prefix", "a/b c+")], b"", None, "s3")
@example(["2015-03-31", "functions", "arn:aws:lambda:us-east-1:1:function:f", "invocations"], [], b"{}", "t", "lambda")
@example(["", "a", "", "b"], [], b"", None, "execute-api")
def test_what_botocore_signs_in_the_header_is_believed(parts, pairs, body, token, service):
    request = AWSRequest(
        "POST", url_of(parts, pairs, service), data=body, headers={"x-amz-target": "A.B", "X-Amz-Meta": " a   b "}
    )
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(BotoCredentials(KEY, SECRET, token), service, "eu-west-1").add_auth(request)
    verified = check(sent(request))
    assert (verified.access_key_id, verified.region, verified.service) == (KEY, "eu-west-1", service)
    assert verified.session_token == token
    assert not verified.presigned


@settings(max_examples=80, deadline=None)
@given(segments, queries, tokens, st.sampled_from(["s3", "execute-api", "sts"]))
@example(["b", "photo of å.jpg"], [("response-content-type", "image/jpeg; q=1")], "t", "s3")
def test_what_botocore_presigns_is_believed(parts, pairs, token, service):
    # botocore reads the query into a mapping, so a repeated or empty name does not survive it.
    assume(len({name for name, _ in pairs}) == len(pairs))
    assume(all(value for _, value in pairs))
    request = AWSRequest("GET", url_of(parts, pairs, service))
    signer = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
    signer(BotoCredentials(KEY, SECRET, token), service, "us-east-1", expires=60).add_auth(request)
    arrived = sent(request)
    verified = check(arrived)
    assert verified.presigned
    assert verified.session_token == token
    with pytest.raises(SignatureError, match=r"expired"):
        check(arrived, now=now() + timedelta(seconds=62))


@settings(max_examples=80, deadline=None)
@given(segments, queries, bodies, tokens, services)
def test_botocore_signs_what_we_sign_the_same(parts, pairs, body, token, service):
    request = AWSRequest(
        "PUT", url_of(parts, pairs, service), data=body, headers={"Content-Type": "application/json", "Host": HOST}
    )
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(BotoCredentials(KEY, SECRET, token), service, "us-east-1").add_auth(request)
    method, path, query, headers, _ = sent(request)
    ours = sign(
        method,
        path,
        query,
        {"content-type": "application/json", "host": HOST},
        body,
        credentials=Credentials(access_key_id=KEY, secret_access_key=SECRET, session_token=token),
        service=service,
        region="us-east-1",
        now=datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ"),
    )
    assert ours["authorization"] == headers["authorization"]


def signed(service="dynamodb", token=None, **headers):
    request = AWSRequest(
        "POST", f"http://{HOST}/a/b?x=1&y=2", data=b'{"a":1}', headers={"x-amz-target": "T.Op", **headers}
    )
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(BotoCredentials(KEY, SECRET, token), service, "us-east-1").add_auth(request)
    return sent(request)


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, "PUT"), (1, "/a/c"), (2, "x=1&y=3"), (2, "x=1&y=2&z=3"), (4, b'{"a":2}'), (4, b"")],
)
@pytest.mark.parametrize("service", ["dynamodb", "s3"])
def test_whatever_is_touched_after_signing_is_refused(place, value, service):
    parts = signed(service)
    parts[place] = value
    with pytest.raises(SignatureError) as refused:
        check(parts)
    assert refused.value.kind in ("SignatureDoesNotMatch", "XAmzContentSHA256Mismatch")


@pytest.mark.parametrize(
    ("header", "value", "kind"),
    [
        ("x-amz-target", "T.Other", "SignatureDoesNotMatch"),
        ("x-amz-security-token", "another", "SignatureDoesNotMatch"),
        ("x-amz-added", "later", "SignatureDoesNotMatch"),
        ("host", "elsewhere", "SignatureDoesNotMatch"),
        ("x-amz-date", "20200101T000000Z", "SignatureDoesNotMatch"),
        ("x-amz-date", "yesterday", "SignatureDoesNotMatch"),
        ("authorization", "Basic abc", "IncompleteSignature"),
        ("authorization", "AWS4-HMAC-SHA256 Credential=a/b", "IncompleteSignature"),
    ],
)
def test_a_changed_or_added_header_is_refused(header, value, kind):
    parts = signed(token="token")
    parts[3][header] = value
    with pytest.raises(SignatureError) as refused:
        check(parts)
    assert refused.value.kind == kind


def test_a_signature_is_good_for_five_minutes_and_for_fifteen_at_s3():
    parts, parts_s3 = signed(), signed("s3")
    check(parts, now=now() + timedelta(minutes=4, seconds=55))
    check(parts, now=now() - timedelta(minutes=4, seconds=55))
    check(parts_s3, now=now() + timedelta(minutes=14))
    with pytest.raises(SignatureError, match="Signature expired"):
        check(parts, now=now() + timedelta(minutes=5, seconds=5))
    with pytest.raises(SignatureError, match="not yet current"):
        check(parts, now=now() - timedelta(minutes=5, seconds=5))
    with pytest.raises(SignatureError) as refused:
        check(parts_s3, now=now() + timedelta(minutes=16))
    assert refused.value.kind == "RequestTimeTooSkewed"


def test_no_signature_and_an_unknown_key_are_named_as_such():
    with pytest.raises(SignatureError) as refused:
        check(["GET", "/", "", {"host": HOST}, b""])
    assert refused.value.kind == "MissingAuthenticationToken"
    with pytest.raises(SignatureError) as refused:
        verify(*signed(), secret_for=lambda *_: None, now=now())
    assert refused.value.kind == "InvalidClientTokenId"


def test_s3_takes_unsigned_and_streamed_bodies_as_the_header_says_and_other_services_do_not():
    for form in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        given_headers = {"host": HOST, "x-amz-content-sha256": form}
        for service in ("s3", "lambda"):
            request = AWSRequest("PUT", f"http://{HOST}/b/k", headers=given_headers)
            auth = S3SigV4Auth(BotoCredentials(KEY, SECRET), service, "us-east-1")
            auth.payload = lambda _request, form=form: form  # type: ignore[method-assign, misc]  # botocore's own way
            auth.add_auth(request)
            parts = sent(request)
            parts[3]["x-amz-content-sha256"] = form
            parts[4] = b"anything"
            if service == "s3":
                assert check(parts).service == "s3"
            else:
                with pytest.raises(SignatureError):
                    check(parts)


def test_the_websocket_form_of_aws_iot_carries_its_token_after_the_signature():
    request = AWSRequest("GET", f"http://{HOST}/mqtt")
    SigV4QueryAuth(BotoCredentials(KEY, SECRET), "iotdevicegateway", "us-east-1", expires=300).add_auth(request)
    method, path, query, headers, body = sent(request)
    verified = check([method, path, query + "&X-Amz-Security-Token=" + quote("to/ken+=", safe=""), headers, body])
    assert verified.session_token == "to/ken+="
    with pytest.raises(SignatureError):
        check([method, path, query + "&X-Amz-Other=1", headers, body])


def test_a_presigned_url_lives_seven_days_at_most():
    request = AWSRequest("GET", f"http://{HOST}/b/k")
    S3SigV4QueryAuth(BotoCredentials(KEY, SECRET), "s3", "us-east-1", expires=604801).add_auth(request)
    with pytest.raises(SignatureError) as refused:
        check(sent(request))
    assert refused.value.kind == "AuthorizationQueryParametersError"
