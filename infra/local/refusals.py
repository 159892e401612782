"""How AWS says no: one refusal in the shape of each protocol, so that botocore raises what it raises on AWS.

Codes as in "Common Errors" of the services' API references: the query services' names, the JSON services' names ending
in ``Exception``, and S3's own.
"""

from xml.sax.saxutils import escape

from infra.local.wire import Request, Response, json_response

_JSON_CODES = {
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "IncompleteSignature": "IncompleteSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "ExpiredToken": "ExpiredTokenException",
    "AccessDenied": "AccessDeniedException",
    "AuthorizationQueryParametersError": "InvalidSignatureException",
}
_S3_CODES = {"InvalidClientTokenId": "InvalidAccessKeyId", "MissingAuthenticationToken": "AccessDenied"}
_QUERY_NAMESPACES = {
    "cloudformation": "http://cloudformation.amazonaws.com/doc/2010-05-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "monitoring": "http://monitoring.amazonaws.com/doc/2010-08-01/",
    "ses": "http://ses.amazonaws.com/doc/2010-12-01/",
    "sns": "http://sns.amazonaws.com/doc/2010-03-31/",
    "sqs": "http://queue.amazonaws.com/doc/2012-11-05/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
_REST_JSON = frozenset(
    ("apigateway", "execute-api", "iot", "iot-jobs-data", "iotdata", "iotdevicegateway", "lambda", "scheduler", "xray")
)
_FORBIDDEN = frozenset(("iotdata", "iotdevicegateway", "iot-jobs-data"))
"""Data planes that say ForbiddenException where others say AccessDeniedException."""


def refuse(request: Request, kind: str, message: str, status: int | None = None) -> Response:
    """Return the answer by which the request's service refuses it.

    ``kind`` is the query protocol's name (``AccessDenied``, ``SignatureDoesNotMatch`` …), ``message`` AWS's sentence;
    ``status`` only where it is not the protocol's usual one.
    """
    service = request.service
    if service == "s3":
        return _s3(_S3_CODES.get(kind, kind), message, status or (400 if kind == "InvalidRequest" else 403))
    if service in _REST_JSON or (service == "ses" and request.path.startswith("/v2/")):
        forbidden = kind == "AccessDenied" and service in _FORBIDDEN
        code = "ForbiddenException" if forbidden else _JSON_CODES.get(kind, kind)
        return json_response({"message": message, "Message": message}, status or 403, x_amzn_errortype=code)
    if service in _QUERY_NAMESPACES and "x-amz-target" not in request.headers:
        return _query(service, kind, message, status or 403)
    return _json(service, kind, message, status)


def _json(service: str, kind: str, message: str, status: int | None) -> Response:
    code = _JSON_CODES.get(kind, kind)
    if service == "sqs":
        code = f"com.amazonaws.sqs#{'AccessDenied' if kind == 'AccessDenied' else code}"
        status = status or 403
    elif service == "dynamodb":
        code = f"com.amazon.coral.service#{code}"
    document = {"__type": code, "message": message, "Message": message}
    return json_response(document, status or 400)


def _s3(code: str, message: str, status: int) -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        "<RequestId>0</RequestId><HostId>0</HostId></Error>"
    )
    return Response(status=status, headers={"content-type": "application/xml"}, body=body.encode())


def _query(service: str, kind: str, message: str, status: int) -> Response:
    code = "AuthorizationError" if service == "sns" and kind == "AccessDenied" else kind
    body = (
        f'<ErrorResponse xmlns="{_QUERY_NAMESPACES[service]}"><Error><Type>Sender</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    )
    return Response(status=status, headers={"content-type": "text/xml"}, body=body.encode())
