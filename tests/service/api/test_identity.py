import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from service.api import identity
from service.api.authenticate import HEADER, Authenticate
from service.api.identity import Audience, NotConfigured, Refused, UnknownKey, Verifier
from service.storage import open_storage
from tests.service import forge
from tests.service.api.issuer import AUDIENCE, Issuer
from tests.service.api.server import Server

NOW = int(time.time())


class Clock:
    def __init__(self) -> None:
        self.age, self.now = 0.0, time.time()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "audience"
    made.write_text(AUDIENCE + "\n")
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(issuer: Issuer, file: Path, clock: Clock) -> Verifier:
    audience = Audience(file, now=lambda: clock.age)
    return Verifier(audience, issuer.url, now=lambda: clock.now, age=lambda: clock.age)


def verify(verifier: Verifier, assertion: str) -> None:
    """As the middleware does it."""
    try:
        verifier.verify(assertion)
    except UnknownKey:
        verifier.refresh()
        verifier.verify(assertion)


def refused(verifier: Verifier, assertion: str) -> str:
    with pytest.raises(Refused) as refusal:
        verify(verifier, assertion)
    return refusal.value.reason


def test_who_the_proxy_vouches_for_is_let_in(verifier: Verifier, issuer: Issuer) -> None:
    verify(verifier, issuer.sign())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 3600}, "expired"),
        ({"iat": NOW + 100_000}, "claims"),
        ({"aud": "/projects/123/global/backendServices/457"}, "audience"),
        ({"aud": None}, "claims"),
        ({"iss": "https://accounts.google.com"}, "issuer"),
        ({"iss": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"exp": None}, "claims"),
    ],
)
def test_an_assertion_of_the_wrong_claims_is_refused(
    verifier: Verifier, issuer: Issuer, claims: dict[str, Any], reason: str
) -> None:
    assert refused(verifier, issuer.sign(**claims)) == reason


def test_half_a_minute_of_skew_is_allowed_and_no_more(verifier: Verifier, issuer: Issuer) -> None:
    verify(verifier, issuer.sign(exp=int(time.time()) - 20))
    assert refused(verifier, issuer.sign(exp=int(time.time()) - 40)) == "expired"


def test_a_forged_signature_is_refused(verifier: Verifier, issuer: Issuer) -> None:
    assert refused(verifier, issuer.sign(key=ec.generate_private_key(ec.SECP256R1()))) == "signature"
    signed = issuer.sign()
    header, _, signature = signed.split(".")
    other = issuer.sign(sub="accounts.google.com:2").split(".")[1]
    assert refused(verifier, f"{header}.{other}.{signature}") == "signature"


def test_other_algorithms_are_refused(verifier: Verifier, issuer: Issuer) -> None:
    assert refused(verifier, issuer.sign(algorithm="none", key="")) == "algorithm"
    public = issuer.jwks()[:64]  # the public key as a secret: the oldest trick
    assert refused(verifier, issuer.sign(algorithm="HS256", key=public)) == "algorithm"


def test_an_unknown_key_is_refused_and_cannot_make_us_fetch_without_end(
    verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    clock.age = 100
    issuer.keys["stranger"] = ec.generate_private_key(ec.SECP256R1())
    for _ in range(5):
        assert refused(verifier, issuer.sign("stranger")) == "unknown_key"
    assert issuer.fetched == 1
    verify(verifier, issuer.sign())


def test_who_comes_while_the_first_keys_are_fetched_waits_for_them(verifier: Verifier, issuer: Issuer) -> None:
    issuer.slow_s, answers = 0.2, []

    async def ok(_: object, __: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answers.append(message["status"])

    async def callers() -> None:
        let_in = Authenticate(ok, verifier)

        async def call(number: int) -> None:
            await asyncio.sleep(number * 0.02)
            assertion = issuer.sign(sub=f"accounts.google.com:{number}").encode()
            scope = {"type": "http", "path": "/v1/score", "headers": [(HEADER.encode(), assertion)]}
            await let_in(scope, None, send)  # type: ignore[arg-type]

        await asyncio.gather(*(call(number) for number in range(10)))

    asyncio.run(callers())
    assert answers == [200] * 10
    assert issuer.fetched == 1


def test_a_new_key_is_fetched_when_it_is_first_used(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    verify(verifier, issuer.sign())
    clock.age += 60
    issuer.rotate("key-1")
    verify(verifier, issuer.sign("key-1"))
    verify(verifier, issuer.sign("key-0"))
    assert issuer.fetched == 2


def test_a_withdrawn_key_is_refused_after_the_next_fetch(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    old = issuer.sign(exp=NOW + 100_000)
    verify(verifier, old)
    issuer.rotate("key-1", keep=False)
    verify(verifier, old)  # verified before, and the keys are fresh
    clock.age += identity.KEYS_MAX_AGE_S + 1
    assert refused(verifier, old) == "unknown_key"


def test_the_old_keys_stay_while_new_ones_cannot_be_fetched(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    verify(verifier, issuer.sign())
    issuer.down = True
    clock.age += 10 * identity.KEYS_MAX_AGE_S
    verify(verifier, issuer.sign(sub="accounts.google.com:2"))


def test_without_any_keys_nobody_is_let_in(verifier: Verifier, issuer: Issuer) -> None:
    issuer.down = True
    with pytest.raises(NotConfigured, match="keys"):
        verify(verifier, issuer.sign())


def test_a_verified_assertion_is_remembered_until_it_expires(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    assertion = issuer.sign(exp=int(clock.now) + 100)
    verify(verifier, assertion)
    verifier._keys.clear()  # so that only what is remembered can let it in
    verifier.verify(assertion)
    clock.now += 131
    with pytest.raises(NotConfigured):
        verifier.verify(assertion)


def test_what_is_remembered_is_bounded(verifier: Verifier, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "VERIFIED_MAX", 3)
    for caller in range(10):
        verify(verifier, issuer.sign(sub=str(caller)))
    assert len(verifier._verified) == 3


def test_another_audience_forgets_who_was_let_in(verifier: Verifier, issuer: Issuer, file: Path, clock: Clock) -> None:
    assertion = issuer.sign()
    verify(verifier, assertion)
    file.write_text("/projects/123/global/backendServices/789")
    clock.age += 2
    assert refused(verifier, assertion) == "audience"


@pytest.mark.parametrize("text", ["", "scoring", "/projects/x/global/backendServices/1", "\x00"])
def test_a_file_without_an_audience_lets_nobody_in(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(NotConfigured, match="authentication not configured"):
        Audience(file).get()
    with pytest.raises(ValueError, match="holds no audience"):
        Audience(file).read()


@given(assertion=st.text(max_size=60) | st.text("abcXYZ019-_.", max_size=200))
def test_no_garbage_is_let_in(assertion: str) -> None:
    class Fixed(Audience):
        def get(self) -> str:
            return AUDIENCE

    with pytest.raises((Refused, UnknownKey)):
        Verifier(Fixed(Path("unused")), "http://127.0.0.1:9").verify(assertion)


def test_a_huge_header_is_refused_before_it_is_read(verifier: Verifier, issuer: Issuer) -> None:
    assert refused(verifier, issuer.sign(padding="x" * 10_000)) == "malformed"


def test_the_service_lets_in_only_whom_the_proxy_vouches_for(tmp_path: Path, issuer: Issuer) -> None:
    forge.release(open_storage(str(tmp_path / "store")))
    file = tmp_path / "audience"
    server = Server(tmp_path, iap_audience_file=file, iap_keys_url=issuer.url)
    try:
        unready = server.score({"features": {}}, **{HEADER: issuer.sign()})
        assert (unready.status_code, unready.json()["title"]) == (503, "authentication not configured")
        assert [server.http.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
        file.write_text(AUDIENCE)
        server.wait(lambda: server.score({"features": {}}, **{HEADER: issuer.sign()}).status_code == 200)
        for path in ("/v1/model", "/docs", "/openapi.json", "/anything", "/static-offline-docs/swagger-ui.css"):
            assert server.http.get(path).status_code == 401
        refusal = server.score({"features": {}})
        assert refusal.status_code == 401
        assert refusal.json()["title"] == "the x-goog-iap-jwt-assertion header is refused: missing"
        assert server.score({"features": {}}, **{HEADER: issuer.sign(exp=1)}).status_code == 401
        assert server.metric('leadscoring_callers_refused_total{reason="expired"}') == 1
        assert server.http.get("/v1/model", headers={HEADER: issuer.sign()}).status_code == 200
        assert server.metric("leadscoring_records_written_total") == 1
    finally:
        server.stop()
