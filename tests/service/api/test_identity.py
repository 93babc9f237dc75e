import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from service.api import authenticate, identity
from service.api.authenticate import HEADER, Authenticate
from service.api.identity import Audience, IdentityRefused, Keys, Unavailable, UnknownKey, Verifier
from service.storage import open_storage
from tests.service import forge
from tests.service.api.issuer import AUDIENCE, Issuer
from tests.service.api.server import Server
from tests.service.google_double import certificate

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
def keys(issuer: Issuer, clock: Clock) -> Iterator[Keys]:
    made = Keys(issuer.url, age=lambda: clock.age)
    yield made
    made.stop()


@pytest.fixture
def verifier(keys: Keys, file: Path, clock: Clock) -> Verifier:
    return Verifier(Audience(file, now=lambda: clock.age), keys, now=lambda: clock.now)


def verify(verifier: Verifier, assertion: str) -> None:
    """As the middleware does it, without its bound on the wait. Starts the fetching when it is first needed."""
    try:
        verifier.verify(assertion)
    except UnknownKey as unknown:
        with suppress(RuntimeError):  # it was started before
            verifier._keys.start()
        unknown.fetch.result(30)
        verifier.verify(assertion)


def answered(verifier: Verifier, assertions: list[str], apart_s: float = 0.0) -> list[int]:
    """The statuses that callers with these assertions get, in the order of their answers."""
    statuses: list[int] = []

    async def ok(_: object, __: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def callers() -> None:
        let_in = Authenticate(ok, verifier)

        async def call(number: int, assertion: str) -> None:
            await asyncio.sleep(number * apart_s)
            scope = {"type": "http", "path": "/v1/score", "headers": [(HEADER.encode(), assertion.encode())]}
            await let_in(scope, None, send)  # type: ignore[arg-type]

        async with asyncio.timeout(30):
            await asyncio.gather(*(call(*each) for each in enumerate(assertions)))

    asyncio.run(callers())
    return statuses


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refused(verifier: Verifier, assertion: str) -> str:
    with pytest.raises(IdentityRefused) as refusal:
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


def test_callers_wait_for_the_first_keys_and_share_one_fetch(verifier: Verifier, keys: Keys, issuer: Issuer) -> None:
    issuer.slow_s = 0.2
    keys.start()
    assertions = [issuer.sign(sub=f"accounts.google.com:{number}") for number in range(10)]
    assert answered(verifier, assertions, apart_s=0.02) == [200] * 10
    assert issuer.fetched == 1


@pytest.mark.parametrize("fault", ["silent", "head", "body"])
def test_a_refresh_that_never_ends_delays_no_caller_whose_key_is_known(
    verifier: Verifier, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    monkeypatch.setattr(identity, "REFRESH_S", 0.01)
    monkeypatch.setattr(identity, "FETCH_S", 60)
    remembered = [issuer.sign(sub=f"accounts.google.com:{number}") for number in range(100)]
    for assertion in remembered:
        verify(verifier, assertion)
    issuer.fault = fault
    wait_until(lambda: issuer.held == 1)
    before = issuer.fetched
    new = [issuer.sign(sub=f"accounts.google.com:new-{number}") for number in range(20)]
    assert answered(verifier, remembered + new) == [200] * 120
    assert (issuer.held, issuer.fetched) == (1, before)  # that refresh has not ended


def test_an_unknown_key_waits_for_a_bounded_time_then_gets_503_and_others_pass(
    verifier: Verifier, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticate, "WAIT_S", 0.2)
    monkeypatch.setattr(identity, "FETCH_S", 60)
    verify(verifier, issuer.sign())
    clock.age += 60
    issuer.keys["stranger"] = ec.generate_private_key(ec.SECP256R1())
    issuer.fault = "body"
    strangers = [issuer.sign("stranger", sub=str(number)) for number in range(20)]
    assert answered(verifier, [*strangers, issuer.sign(sub="known")]) == [200] + [503] * 20
    assert issuer.fetched == 2


@pytest.mark.parametrize("fault", ["silent", "head", "body"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_fetch_ends_at_its_deadline_and_the_next_one_succeeds(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, tls: bool, fault: Any
) -> None:
    """Each byte arrives in time for a time-out of the socket; the whole does not."""
    monkeypatch.setattr(identity, "FETCH_S", 0.3)
    monkeypatch.setattr(identity, "RETRY_S", 0.01)
    pem = certificate(tmp_path / "pem") if tls else None
    if pem:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    issuer = Issuer(pem)
    issuer.fault = fault
    keys = Keys(issuer.url)
    keys.start()
    try:
        wait_until(lambda: issuer.fetched >= 2)
        with pytest.raises(Unavailable):
            Verifier(Audience(file), keys).verify(issuer.sign())
        issuer.fault = None
        wait_until(lambda: bool(keys.trusted().keys))
        Verifier(Audience(file), keys).verify(issuer.sign())
        wait_until(lambda: not [each for each in threading.enumerate() if each.name == "keys-download"])
    finally:
        keys.stop()
        issuer.close()


def test_an_unreachable_endpoint_is_tried_again_ever_more_seldom(
    verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    issuer.down = True
    assertion = issuer.sign()
    fetched = []
    for age in (0, 9, 11, 30, 32, 71, 73, 132, 134):
        clock.age = age
        with pytest.raises(Unavailable):
            verify(verifier, assertion)
        fetched.append(issuer.fetched)
    assert fetched == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    clock.age = 1_000
    issuer.down = False
    verify(verifier, assertion)


@pytest.mark.parametrize("answer", [b"no JSON", b"[]", b"null", b'{"keys": []}', b'{"keys": [{"kty": "EC"}]}', b"\xff"])
def test_an_answer_without_keys_leaves_the_old_ones_and_the_fetching_goes_on(
    verifier: Verifier, issuer: Issuer, clock: Clock, answer: bytes
) -> None:
    verify(verifier, issuer.sign())
    issuer.rotate("key-1")
    clock.age += 60
    issuer.answer = answer
    with pytest.raises(Unavailable):
        verify(verifier, issuer.sign("key-1"))
    verify(verifier, issuer.sign())
    clock.age += 60
    issuer.answer = None
    verify(verifier, issuer.sign("key-1"))


def test_keys_are_refreshed_without_any_request(keys: Keys, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REFRESH_S", 0.01)
    keys.start()
    wait_until(lambda: issuer.fetched >= 3)


def test_a_new_key_is_fetched_when_it_is_first_used(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    verify(verifier, issuer.sign())
    clock.age += 60
    issuer.rotate("key-1")
    verify(verifier, issuer.sign("key-1"))
    verify(verifier, issuer.sign("key-0"))
    assert issuer.fetched == 2


def test_a_withdrawn_key_is_refused_after_the_next_fetch(
    verifier: Verifier, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "REFRESH_S", 0.01)
    old = issuer.sign(exp=NOW + 100_000)
    verify(verifier, old)
    issuer.rotate("key-1", keep=False)
    wait_until(lambda: "key-1" in verifier._keys.trusted().keys)
    assert refused(verifier, old) == "unknown_key"


def test_old_keys_are_trusted_for_a_day_while_new_ones_cannot_be_fetched(
    verifier: Verifier, issuer: Issuer, clock: Clock
) -> None:
    remembered = issuer.sign(exp=NOW + 1_000_000)
    verify(verifier, remembered)
    issuer.down = True
    clock.age += identity.KEYS_MAX_AGE_S - 1
    verify(verifier, remembered)
    verify(verifier, issuer.sign(sub="accounts.google.com:2"))
    clock.age += 2
    for assertion in (remembered, issuer.sign(sub="accounts.google.com:3")):
        with pytest.raises(Unavailable):
            verify(verifier, assertion)
    clock.age += identity.RETRY_MAX_S
    issuer.down = False
    verify(verifier, remembered)


def test_without_any_keys_nobody_is_let_in(verifier: Verifier, issuer: Issuer) -> None:
    issuer.down = True
    with pytest.raises(Unavailable, match="keys"):
        verify(verifier, issuer.sign())


def test_a_verified_assertion_is_remembered_until_it_expires(verifier: Verifier, issuer: Issuer, clock: Clock) -> None:
    assertion = issuer.sign(exp=int(clock.now) + 100)
    verify(verifier, assertion)
    verifier._keys.trusted().keys.clear()  # so that only what is remembered can let it in
    verifier.verify(assertion)
    clock.now += 131
    assert refused(verifier, assertion) == "unknown_key"


def test_what_is_remembered_is_bounded(verifier: Verifier, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "VERIFIED_MAX", 3)
    for caller in range(10):
        verify(verifier, issuer.sign(sub=str(caller)))
    assert len(verifier._keys.trusted().verified) == 3


def test_another_audience_forgets_who_was_let_in(verifier: Verifier, issuer: Issuer, file: Path, clock: Clock) -> None:
    assertion = issuer.sign()
    verify(verifier, assertion)
    file.write_text("/projects/123/global/backendServices/789")
    clock.age += 2
    assert refused(verifier, assertion) == "audience"


@pytest.mark.parametrize("text", ["", "scoring", "/projects/x/global/backendServices/1", "\x00"])
def test_a_file_without_an_audience_lets_nobody_in(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(Unavailable, match="authentication not configured"):
        Audience(file).get()
    with pytest.raises(ValueError, match="holds no audience"):
        Audience(file).read()


@given(assertion=st.text(max_size=60) | st.text("abcXYZ019-_.", max_size=200))
def test_no_garbage_is_let_in(assertion: str) -> None:
    class Fixed(Audience):
        def get(self) -> str:
            return AUDIENCE

    with pytest.raises((IdentityRefused, UnknownKey)):
        Verifier(Fixed(Path("unused")), Keys("http://127.0.0.1:9")).verify(assertion)


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


@pytest.mark.slow
def test_a_key_endpoint_that_never_answers_refuses_with_503_and_delays_no_stop(tmp_path: Path, issuer: Issuer) -> None:
    forge.release(open_storage(str(tmp_path / "store")))
    file = tmp_path / "audience"
    file.write_text(AUDIENCE)
    issuer.fault = "body"
    server = Server(tmp_path, iap_audience_file=file, iap_keys_url=issuer.url)
    try:
        answer = server.score({"features": {}}, **{HEADER: issuer.sign()})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        issuer.fault = None
        server.wait(lambda: server.score({"features": {}}, **{HEADER: issuer.sign()}).status_code == 200, 60)
        issuer.fault = "body"
        server.wait(lambda: _asks_for_an_unknown_key(server, issuer), 60)
    finally:
        assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def _asks_for_an_unknown_key(server: Server, issuer: Issuer) -> bool:
    """Whether a fetch is under way now that such a caller came."""
    issuer.keys["stranger"] = ec.generate_private_key(ec.SECP256R1())
    server.score({"features": {}}, **{HEADER: issuer.sign("stranger")})
    return issuer.held == 1
