"""What checking a token costs: known to the gate, and not; with every budget set, and without."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from cloud_core.issuer import TENANT, Grant, SigningKey
from edge_agent.clock import SystemClock
from middle_tier.gate import MAX_KNOWN, Gate, read_keys
from middle_tier.register import READY, Register, Tenant
from protocol.tokens import Budget

CACHED_US, UNCACHED_US = 5.0, 400.0


def main() -> int:
    """Print the figures as one JSON object; 1 when one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks", type=int, default=20_000)
    checks = parser.parse_args().checks
    with TemporaryDirectory() as folder:
        figures = measured(SigningKey.kept(Path(folder) / "signing.pem"), checks)
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))  # noqa: T201  # its output
    over = figures["cached_us"] > CACHED_US or figures["uncached_us"] > UNCACHED_US
    return int(over)


def measured(key: SigningKey, checks: int) -> dict[str, float]:
    """Microseconds for one check, the median of five runs."""
    clock = SystemClock()
    gate = a_gate(key, clock)
    tokens = [a_token(key, clock, f"t{number}") for number in range(min(MAX_KNOWN // 2, 500))]
    headers = [f"Bearer {token}" for token in tokens]

    def known() -> None:
        for at in range(checks):
            caller = gate.caller(headers[at % len(headers)])
            caller.claims.demand("ask", "digits")
            caller.check()
            caller.begin()
            caller.end(1e-9)

    def unknown() -> None:
        gate.forget()
        for header in headers:
            gate.caller(header)

    known()
    return {
        "cached_us": timed(known) / checks * 1e6,
        "uncached_us": timed(unknown) / len(headers) * 1e6,
    }


def timed(run: Callable[[], None]) -> float:
    """Seconds of a run."""
    found = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return sorted(found)[2]


def a_gate(key: SigningKey, clock: SystemClock) -> Gate:
    register = Register()
    budget = Budget(queries_per_s=1e9, concurrency=1000, usd_per_day=1e9)
    tenant = Tenant(name="acme", tasks=("digits",), budget=budget)
    register.put("tenant.acme", tenant.model_dump_json().encode())
    register.put(READY, b"{}")
    return Gate(read_keys(key.gate_keys().encode()), clock, register=register)


def a_token(key: SigningKey, clock: SystemClock, token_id: str) -> str:
    budget = Budget(queries_per_s=1e9, concurrency=1000)
    grant = Grant("acme", TENANT, 3600, tasks=["digits"], tiers=["edge", "cloud"], budget=budget)
    return key.mint(grant, now=clock.wall(), token_id=token_id)


if __name__ == "__main__":
    sys.exit(main())
