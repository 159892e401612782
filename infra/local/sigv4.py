"""AWS Signature Version 4: make one, or find out whose it is. Pure: no clock, no store.

Follows "Create a signed AWS API request" (IAM User Guide) and "Authenticating Requests" (S3 API Reference); checked
against botocore's signer. The signatures of single chunks in S3's ``STREAMING-AWS4-HMAC-SHA256-PAYLOAD`` are not
checked, only the seed signature that covers the headers; bodies of ``UNSIGNED-PAYLOAD`` are not covered by design.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=5)
MAX_SKEW_S3 = timedelta(minutes=15)
MAX_PRESIGNED = timedelta(days=7)
_UNSIGNED = "UNSIGNED-PAYLOAD"
_DATE = "%Y%m%dT%H%M%SZ"
_SHA256_OF_NOTHING = hashlib.sha256(b"").hexdigest()
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)


class Signer(Protocol):
    """Whoever signs: a key, its secret and, for temporary credentials, the session token."""

    @property
    def access_key_id(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def secret_access_key(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def session_token(self) -> str | None: ...  # noqa: D102 - the class says it


class SignatureError(Exception):
    """A request is not signed by who it says.

    ``kind`` names it as AWS's query protocol does; ``refusals`` knows how the other protocols call it.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Whose signature a request carries; the session token is yet to be judged by who issued it."""

    access_key_id: str
    region: str
    service: str
    session_token: str | None
    presigned: bool


SecretFor = Callable[[str, str | None], str | None]
"""(access key id, session token) to the secret; None where no such key was issued."""


def sign(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    credentials: Signer,
    service: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """Return the headers to add to a request, ``authorization`` among them.

    ``path`` and ``query`` are given as they will stand in the request line (percent-encoded once, no question mark);
    ``headers`` are what will be sent, ``host`` at least, and all of them are signed; ``now`` is real time.
    """
    stamp = now.strftime(_DATE)
    added = {"x-amz-date": stamp}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    digest = hashlib.sha256(body).hexdigest()
    if service == "s3":
        added["x-amz-content-sha256"] = digest
    signed = {name.lower(): value for name, value in headers.items()} | added
    names = sorted(signed)
    canonical = _canonical_request(method, _path(path, service), _query(query), signed, names, digest=digest)
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    signature = _signature(credentials.secret_access_key, scope, stamp, canonical)
    added["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return added


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret_for: SecretFor,
    now: datetime,
) -> Verified:
    """Return whose signature the request carries, in its header or (presigned) in its query.

    ``path`` and ``query`` are taken exactly as they stood in the request line, undecoded; the names of ``headers`` are
    in lower case; ``now`` is real time, since clients sign with real time.

    Raises:
        SignatureError: as AWS would refuse it; ``MissingAuthenticationToken`` where there is no signature at all.
    """
    claim = _claim_in_header(headers) if "authorization" in headers else _claim_in_query(query)
    _check_time(claim, now)
    secret = secret_for(claim.access_key_id, claim.session_token)
    if secret is None:
        raise SignatureError("InvalidClientTokenId", "The security token included in the request is invalid.")
    _check_signed_headers(claim, headers)
    digest = _payload_digest(claim, headers, body)
    canonical_path = _path(path, claim.service)
    for canonical_query in _canonical_queries(claim, query):
        canonical = _canonical_request(
            method, canonical_path, canonical_query, headers, claim.signed_headers, digest=digest
        )
        if hmac.compare_digest(_signature(secret, claim.scope, claim.stamp, canonical), claim.signature):
            return Verified(
                access_key_id=claim.access_key_id,
                region=claim.region,
                service=claim.service,
                session_token=claim.session_token,
                presigned=claim.expires is not None,
            )
    raise SignatureError("SignatureDoesNotMatch", _MISMATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What a request says of its signature."""

    access_key_id: str
    region: str
    service: str
    stamp: str
    signed_headers: tuple[str, ...]
    signature: str
    session_token: str | None
    expires: timedelta | None = None

    @property
    def scope(self) -> str:
        return f"{self.stamp[:8]}/{self.region}/{self.service}/aws4_request"


_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")


def _claim_in_header(headers: Mapping[str, str]) -> _Claim:
    authorization = headers["authorization"]
    if not authorization.startswith(ALGORITHM):
        raise SignatureError("IncompleteSignature", f"Unsupported AWS 'algorithm': '{authorization.split(' ')[0]}'")
    parts = dict(_PART.findall(authorization))
    stamp = headers.get("x-amz-date", "")
    needed = ("Credential", "SignedHeaders", "Signature")
    missing = [f"Authorization header requires '{name}' parameter." for name in needed if not parts.get(name)]
    if not stamp:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise SignatureError("IncompleteSignature", " ".join(missing))
    key, region, service = _credential(parts["Credential"], stamp)
    return _Claim(
        access_key_id=key,
        region=region,
        service=service,
        stamp=stamp,
        signed_headers=tuple(parts["SignedHeaders"].split(";")),
        signature=parts["Signature"],
        session_token=headers.get("x-amz-security-token"),
    )


def _claim_in_query(query: str) -> _Claim:
    given = dict(_parameters(query))
    if "X-Amz-Signature" not in given:
        raise SignatureError("MissingAuthenticationToken", "Missing Authentication Token")
    needed = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders")
    missing = [name for name in needed if not given.get(name)]
    if missing:
        raise SignatureError("IncompleteSignature", f"Query string authentication requires {', '.join(missing)}")
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise SignatureError("IncompleteSignature", f"Unsupported AWS 'algorithm': '{given['X-Amz-Algorithm']}'")
    key, region, service = _credential(given["X-Amz-Credential"], given["X-Amz-Date"])
    return _Claim(
        access_key_id=key,
        region=region,
        service=service,
        stamp=given["X-Amz-Date"],
        signed_headers=tuple(given["X-Amz-SignedHeaders"].split(";")),
        signature=given["X-Amz-Signature"],
        session_token=given.get("X-Amz-Security-Token"),
        expires=_expires(given, service),
    )


def _expires(given: Mapping[str, str], service: str) -> timedelta:
    # AWS IoT's documented WebSocket form carries no X-Amz-Expires; it is then held to the usual skew.
    raw = given.get("X-Amz-Expires", "300" if service == "iotdevicegateway" else "")
    if not raw.isdecimal() or timedelta(seconds=int(raw)) > MAX_PRESIGNED:
        raise SignatureError("AuthorizationQueryParametersError", "X-Amz-Expires must be between 0 and 604800 seconds")
    return timedelta(seconds=int(raw))


def _credential(credential: str, stamp: str) -> tuple[str, str, str]:
    match credential.rsplit("/", 4):
        case [key, date, region, service, "aws4_request"] if key and date == stamp[:8]:
            return key, region, service
        case [_, date, _, _, "aws4_request"]:
            message = (
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}'"
            )
            raise SignatureError("SignatureDoesNotMatch", message)
    message = f"Credential must have exactly 5 slash-delimited elements, ending with 'aws4_request', got '{credential}'"
    raise SignatureError("IncompleteSignature", message)


def _check_time(claim: _Claim, now: datetime) -> None:
    signed_at = _instant(claim.stamp)
    skew = MAX_SKEW_S3 if claim.service == "s3" else MAX_SKEW
    lifetime = skew if claim.expires is None else claim.expires
    if signed_at + lifetime < now:
        if claim.service == "s3":
            kind, message = (
                ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
                if claim.expires is None
                else ("AccessDenied", "Request has expired")
            )
            raise SignatureError(kind, message)
        earliest = (now - lifetime).strftime(_DATE)
        message = (
            f"Signature expired: {claim.stamp} is now earlier than {earliest} ({now.strftime(_DATE)} - {lifetime})"
        )
        raise SignatureError("SignatureDoesNotMatch", message)
    if signed_at - skew > now:
        latest = (now + skew).strftime(_DATE)
        message = (
            f"Signature not yet current: {claim.stamp} is still later than {latest} ({now.strftime(_DATE)} + {skew})"
        )
        raise SignatureError("RequestTimeTooSkewed" if claim.service == "s3" else "SignatureDoesNotMatch", message)


@lru_cache(64)
def _instant(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _DATE).replace(tzinfo=UTC)
    except ValueError as error:
        message = f"Date must be in ISO-8601 'basic format'. Got '{stamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
        raise SignatureError("IncompleteSignature", message) from error


def _check_signed_headers(claim: _Claim, headers: Mapping[str, str]) -> None:
    """AWS demands that the host and every ``x-amz-`` header are signed, so that nobody on the way can add meaning."""
    signed = set(claim.signed_headers)
    if "host" not in signed:
        raise SignatureError(
            "SignatureDoesNotMatch", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    loose = [name for name in headers if name.startswith("x-amz-") and name not in signed]
    if loose:
        message = f"There were headers present in the request which were not signed: {', '.join(sorted(loose))}"
        raise SignatureError("AccessDenied" if claim.service == "s3" else "SignatureDoesNotMatch", message)


def _payload_digest(claim: _Claim, headers: Mapping[str, str], body: bytes) -> str:
    """What stands for the body in the canonical request; what the client says of it is believed of S3's forms only."""
    actual = hashlib.sha256(body).hexdigest() if body else _SHA256_OF_NOTHING
    if claim.service != "s3":
        return actual
    said = headers.get("x-amz-content-sha256", _UNSIGNED if claim.expires is not None else actual)
    if said != _UNSIGNED and not said.startswith("STREAMING-") and said != actual:
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise SignatureError("XAmzContentSHA256Mismatch", message)
    return said


def _canonical_queries(claim: _Claim, query: str) -> Iterator[str]:
    without = {"X-Amz-Signature"} if claim.expires is not None else set()
    yield _query(query, without)
    if claim.service == "iotdevicegateway" and claim.session_token:
        # "The session token is appended after the URL is signed" (AWS IoT Core, MQTT over WebSocket with SigV4).
        yield _query(query, {*without, "X-Amz-Security-Token"})


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield unquote(name, errors="surrogateescape"), unquote(value, errors="surrogateescape")


def _query(query: str, without: set[str] | frozenset[str] = frozenset()) -> str:
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in _parameters(query) if name not in without)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~", errors="surrogateescape")


@lru_cache(256)
def _path(path: str, service: str) -> str:
    """S3 signs the key as it is, encoded once; every other service the normalised path, encoded again."""
    if service == "s3":
        return quote(unquote(path, errors="surrogateescape"), safe="/-_.~", errors="surrogateescape") or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if path.endswith("/") and kept else ""
    return quote(f"/{'/'.join(kept)}{slash}", safe="/-_.~")


def _canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], names: Sequence[str], *, digest: str
) -> str:
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\n{digest}"


def _signature(secret: str, scope: str, stamp: str, canonical: str) -> str:
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(_key(secret, scope), to_sign.encode(), "sha256").hex()


@lru_cache(1024)
def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
