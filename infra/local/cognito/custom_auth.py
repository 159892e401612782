"""Challenges of the pool's own making: three triggers that define, create and verify them.

Follows "Custom authentication challenge Lambda triggers" (Amazon Cognito Developer Guide). The variant that begins with
SRP is refused.
"""

from collections.abc import Mapping

from infra.local.cognito.challenges import Challenge, Challenges
from infra.local.cognito.directory import Document, User
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.triggers import Triggers


class CustomAuth:
    """Runs the three triggers over one sign-in."""

    def __init__(self, challenges: Challenges, triggers: Triggers) -> None:
        self._challenges = challenges
        self._triggers = triggers

    async def next(self, challenge: Challenge, metadata: Mapping[str, str] | None) -> Document | None:
        """Return the next challenge; None once DefineAuthChallenge says that tokens are due.

        Raises:
            CognitoError: it says that the sign-in has failed, or is not there.
        """
        user = _user(challenge)
        shared: Document = {"session": challenge.rounds, "clientMetadata": dict(metadata or {})}
        blank = {"challengeName": None, "issueTokens": None, "failAuthentication": None}
        defined = await self._run(challenge, "DefineAuthChallenge_Authentication", shared, blank)
        if defined.get("failAuthentication"):
            raise CognitoError.not_authorized()
        if defined.get("issueTokens"):
            return None
        if defined.get("challengeName") != "CUSTOM_CHALLENGE":
            raise CognitoError.not_carried(f"custom authentication by {defined.get('challengeName')}")
        blank = {"publicChallengeParameters": None, "privateChallengeParameters": None, "challengeMetadata": None}
        request = {"challengeName": "CUSTOM_CHALLENGE", **shared}
        created = await self._run(challenge, "CreateAuthChallenge_Authentication", request, blank)
        challenge.private = created.get("privateChallengeParameters") or {}
        challenge.rounds.append(
            {"challengeName": "CUSTOM_CHALLENGE", "challengeMetadata": created.get("challengeMetadata")}
        )
        parameters = {"USERNAME": user.name, **(created.get("publicChallengeParameters") or {})}
        session = self._challenges.keep(challenge)
        return {"ChallengeName": "CUSTOM_CHALLENGE", "Session": session, "ChallengeParameters": parameters}

    async def judge(self, challenge: Challenge, answer: str, metadata: Mapping[str, str] | None) -> None:
        """Let VerifyAuthChallengeResponse judge an answer; what follows from it is DefineAuthChallenge's to say."""
        request = {
            "privateChallengeParameters": challenge.private,
            "challengeAnswer": answer,
            "clientMetadata": dict(metadata or {}),
        }
        source = "VerifyAuthChallengeResponse_Authentication"
        verified = await self._run(challenge, source, request, {"answerCorrect": None})
        challenge.rounds[-1]["challengeResult"] = bool(verified.get("answerCorrect"))

    async def _run(self, challenge: Challenge, source: str, request: Document, blank: Document) -> Document:
        ids = {"client_id": challenge.client.id}
        answer = await self._triggers.run(
            challenge.pool, source, _user(challenge), **ids, request=request, response=blank
        )
        if answer is None:
            raise CognitoError.invalid("Custom auth lambda trigger is not configured for the user pool.")
        return answer


def _user(challenge: Challenge) -> User:
    if challenge.user is None:
        raise CognitoError.not_authorized()
    return challenge.user
