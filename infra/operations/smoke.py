"""Asks for a score through the front door, as a caller would: with an identity that the proxy lets in.

The identity is a service account that can do nothing else. Whoever deploys may sign as it.
https://docs.cloud.google.com/iap/docs/authentication-howto#create_the_jwt
"""

import json
import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import requests

from infra.environment import Environment
from infra.operations.programs import Failed, ProgramError, Programs, wait

ACCOUNT = "smoke"
TOKEN_SECONDS = 600
ANSWER_SECONDS = 35  # a little more than the load balancer gives the pods


def account(env: Environment) -> str:
    """The e-mail address of whom the smoke test calls as."""
    return env.email(ACCOUNT)


def resolves(door: str) -> bool:
    """Whether the door's name has an address. Behind a proxy that is the proxy's to find out, and counts as yes."""
    host = urlsplit(door).hostname or ""
    if getproxies().get("https") and not proxy_bypass(host):
        return True
    try:
        return bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


def token(env: Environment, programs: Programs, door: str) -> str:
    """A JWT for every path behind the door, for ten minutes. Raises Failed."""
    now, who = int(time.time()), account(env)
    claims = {"iss": who, "sub": who, "aud": f"{door}/*", "iat": now, "exp": now + TOKEN_SECONDS}
    sign = ("iam", "service-accounts", "sign-jwt", f"--iam-account={who}", f"--project={env.project}", "--quiet")
    try:
        # Through the pipes: neither claims nor token are ever in a file or on a command line.
        return programs.run("gcloud", *sign, "/dev/stdin", "-", stdin=json.dumps(claims), assumed="TOKEN").strip()
    except ProgramError as error:
        raise Failed(
            f"no token for the smoke test\n{error}", f"you need roles/iam.serviceAccountTokenCreator on {who}"
        ) from error


def test(env: Environment, programs: Programs, door: str, commit: str, *, seconds: float, every: float) -> None:
    """Score one lead through the door; its record stays. Raises Failed when that does not work within `seconds`."""
    signed = token(env, programs, door)
    if programs.dry:
        programs.say(f"asks {door} for /readyz, /v1/model and /v1/score, as {account(env)}")
        return
    lead, problem = f"smoke-{commit}", ""
    with requests.Session() as session:

        def good() -> bool | None:
            nonlocal problem
            problem = _problem(session, door, {"Authorization": f"Bearer {signed}"}, lead)
            return None if problem else True

        if wait(good, seconds=seconds, every=every) is None:
            raise Failed(f"the smoke test at {door} failed for {seconds:g} s: {problem}", _remedy(problem))
    print(f"smoke test: {door} scored the lead {lead}, whose record stays among the predictions")


def _problem(session: requests.Session, door: str, identity: Mapping[str, str], lead: str) -> str:
    """What is wrong behind the door now, or nothing."""
    body = {"leads": [{"lead_id": lead, "features": {}}]}

    def ask(method: str, path: str, **more: Any) -> requests.Response:
        answer = session.request(method, f"{door}{path}", timeout=ANSWER_SECONDS, allow_redirects=False, **more)
        answers.append(f"{method} {path} answers {answer.status_code}: {answer.text.strip()[:200]}")
        return answer

    answers: list[str] = []
    try:
        if ask("GET", "/readyz").status_code != 200:
            return answers[-1]
        # The proxy sends whom it does not know to a login, or refuses: either way there is no answer of ours.
        if ask("GET", "/v1/model").status_code == 200:
            return f"without an identity {answers[-1]}"
        if ask("GET", "/v1/model", headers=identity).status_code != 200:
            return answers[-1]
        scored = ask("POST", "/v1/score", json=body, headers=identity)
        if scored.status_code != 200 or [each["lead_id"] for each in scored.json()["scores"]] != [lead]:
            return answers[-1]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _remedy(problem: str) -> str:
    if problem.startswith(("ConnectionError", "SSLError", "ConnectTimeout")):
        return (
            "do the edge stack's address_record and certificate_record resolve, is the certificate issued? Until then "
            "deploy with --no-smoke 'REASON'"
        )
    if "no model" in problem or "/readyz answers 503" in problem:
        return "publish a model, or deploy with --no-smoke 'REASON' until there is one"
    if "answers 401" in problem or "answers 403" in problem:
        return "does the identity-aware proxy let the smoke account in? A new grant takes minutes; deploy again"
    return "the service's log, and the load balancer's"
