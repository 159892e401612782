"""How many requests a route takes: a token bucket for each ("Throttle requests to your HTTP APIs")."""

from collections.abc import Mapping
from typing import Any

from infra.local.clock import Clock


class Limits:
    """The buckets of all routes that have a limit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}

    def take(self, api_id: str, stage_name: str, route_key: str, stage: Mapping[str, Any]) -> bool:
        """Take one request's token; False when the bucket is empty. A route without a limit is never refused."""
        limits = {**stage.get("defaultRouteSettings", {}), **stage.get("routeSettings", {}).get(route_key, {})}
        if "throttlingRateLimit" not in limits:
            return True
        rate, burst = float(limits["throttlingRateLimit"]), float(limits.get("throttlingBurstLimit", 0))
        now, key = self._clock.time(), (api_id, stage_name, route_key)
        tokens, at = self._buckets.get(key, (burst, now))
        tokens = min(burst, tokens + max(0.0, now - at) * rate)
        self._buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1

    def forget(self, api_id: str) -> None:
        """Fill the buckets of an API again: its limits may have changed."""
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] != api_id}
