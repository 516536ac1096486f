"""Admission and the operator come to the same decision, in the same words, on thousands of generated trainings."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, get_args

import pytest
import yaml

from nnunet_api.policy.advice import advice
from nnunet_api.policy.decision import Policy, Subject, Verdict, decide
from nnunet_api.policy.model import LiftableRule, NnunetTrainingPolicySpec, Outcome, Rule
from nnunet_api.policy.rules import COMPARABLE
from nnunet_api.training import NnunetTrainingSpec
from tests.integration.policy.generated import NAMES, labels, one_training, policy
from tests.integration.policy.support import MERGE, POLICIES, Answer, Gate, policy_body, without
from tests.support import sizes
from tests.support.api import Object, wait_for

POLICIES_EACH, NAMESPACES, TRAININGS = 4, 6, 24
SEED, SEED_OF_CHANGES = sizes.seed(20265231), sizes.seed(20261181)
"""The first one meets every rule and outcome in few rounds."""
WARNING_CUT = 256
"""The API server cuts each warning to so many characters once all of a request have more than 4096."""
WARNS = "nnunet-policy-warn"
"""It says what is denied as well."""


def differences(
    body: Object, answer: Answer, policies: list[Policy], marks: dict[str, str], created: bool = True
) -> list[str]:
    """Return what the API server said otherwise than the operator decides. Advice is given at creation alone."""
    spec = NnunetTrainingSpec.model_validate(body["spec"])
    subject = Subject(body["metadata"]["namespace"], body["metadata"]["name"], spec)
    decision = decide(subject, marks, policies, datetime.now(UTC))
    # A clinical namespace that none of the policies is for (decision.missing) is the operator's alone to find.
    denied = decision.messages(Outcome.DENIED)
    found = []
    if denied and (answer.status != 403 or answer.denial[1] not in denied):
        found.append(f"asked for one of {denied}, got {answer.status} {answer.message}")
    if not denied and not answer.ok:
        found.append(f"refused: {answer.message}")
    wanted = {WARNS: [*denied, *decision.messages(Outcome.WARNED)]}
    wanted["nnunet-advice"] = [each.message for each in advice(spec)] if created else []
    given = {name: answer.warned(name) for name in wanted}
    if any(len(warning) == WARNING_CUT for warning in answer.warnings):
        wanted = {name: [message[:100] for message in messages] for name, messages in wanted.items()}
        given = {name: [message[:100] for message in messages] for name, messages in given.items()}
    for name, messages in wanted.items():
        if sorted(messages) != sorted(given[name]):
            found.append(f"{name}: asked for the warnings {sorted(messages)}, got {sorted(given[name])}")
    return found


def kinds(verdict: Verdict) -> set[str]:
    """Return what a verdict shows was tried."""
    words = {verdict.outcome.value, *(f"compared {violation.rule}" for violation in verdict.compared)}
    words |= {*(violation.rule.value for violation in verdict.violations)}
    words |= {"redefined" for violation in verdict.violations if "spec.planning.configurations" in violation.message}
    words |= {"lapsed"} if verdict.lapsed else set()
    exception = verdict.exception
    words |= {f"without {rule}" for rule in exception.lifted_rules} if exception else set()
    return words | ({"floor"} if exception and exception.min_epochs else set())


@pytest.fixture
def unguarded(gate: Gate) -> Any:
    """Exceptions that have ended or last too long can be written."""
    wrong = policy_body("never", namespaces=["x"], exceptions=[])
    late = {**wrong, "spec": {**wrong["spec"], "exceptions": [_long_over()]}}

    def passes() -> bool:
        return gate.ask("POST", f"{POLICIES}?dryRun=All", late).ok

    with without(gate, "nnunet-exceptions"):
        wait_for("the guard to be off", passes)
        yield
    wait_for("the guard to be on again", lambda: not passes())


def _long_over() -> Object:
    facts = {"reason": "for this test alone", "ticket": "1", "approvedBy": "x", "expiresAt": "2001-01-01T00:00:00Z"}
    return {"namespace": "x", "name": "x", **facts}


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("unguarded")
def test_admission_and_the_operator_agree(gate: Gate) -> None:
    rng = random.Random(SEED)
    namespaces = [gate.namespace() for _ in range(NAMESPACES)]
    seen: dict[str, int] = {}
    with ThreadPoolExecutor(6) as pool:
        for number in range(sizes.AGREEMENT_ROUNDS):
            specs, policies, stored = _new_rules(gate, rng, namespaces)
            bodies = [one_training(rng, rng.choice(namespaces)) for _ in range(TRAININGS)]
            for body, answer in zip(bodies, pool.map(gate.create, bodies), strict=True):
                where = body["metadata"]["namespace"]
                different = differences(body, answer, policies, stored[where])
                case = {"different": different, "training": body, "labels": stored[where], "policies": specs}
                assert not different, f"SEED={SEED}, round {number}\n{yaml.safe_dump(case, width=200)}"
                spec = NnunetTrainingSpec.model_validate(body["spec"])
                subject = Subject(where, body["metadata"]["name"], spec)
                verdicts = decide(subject, stored[where], policies, datetime.now(UTC)).verdicts
                for word in set().union(*map(kinds, verdicts)) or {"none"}:
                    seen[word] = seen.get(word, 0) + 1
    print(f"SEED={SEED}:", ", ".join(f"{count} {word}" for word, count in sorted(seen.items())))
    assert min(seen.values()) >= sizes.AGREEMENT_SEEN, seen
    tried = {
        "none",
        "lapsed",
        "floor",
        "redefined",
        *Outcome,
        *Rule,
        *(f"compared {rule}" for rule in COMPARABLE),
        *(f"without {rule}" for rule in get_args(LiftableRule)),
    }
    assert set(seen) == tried


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("unguarded")
def test_they_agree_on_changes_as_well(gate: Gate) -> None:
    """On trainings that are older than the policies, where the clock is another."""
    rng = random.Random(SEED_OF_CHANGES)
    gate.clear()
    namespaces = [gate.namespace() for _ in range(NAMESPACES)]
    places = [{"namespace": where, "name": name} for where in namespaces for name in NAMES]
    bodies = [{**one_training(rng, place["namespace"]), "metadata": place} for place in places]
    for body in bodies:
        assert gate.create(body, dry_run=False).ok
    denied = 0
    with ThreadPoolExecutor(6) as pool:
        for number in range(sizes.UPDATE_ROUNDS):
            specs, policies, stored = _new_rules(gate, rng, namespaces)
            for body, answer in zip(bodies, pool.map(partial(_changed, gate), bodies), strict=True):
                marks = stored[body["metadata"]["namespace"]]
                different = differences(body, answer, policies, marks, created=False)
                case = {"different": different, "training": body, "labels": marks, "policies": specs}
                assert not different, f"SEED={SEED_OF_CHANGES}, round {number}\n{yaml.safe_dump(case, width=200)}"
                denied += not answer.ok
    asked = sizes.UPDATE_ROUNDS * len(bodies)
    assert asked / 8 < denied < asked * 7 / 8, f"SEED={SEED_OF_CHANGES}"


def _changed(gate: Gate, body: Object) -> Answer:
    path = gate.path(body["metadata"]["namespace"], body["metadata"]["name"])
    return gate.ask("PATCH", f"{path}?dryRun=All", {"spec": {"retryLimit": 99}}, type_=MERGE)


def _new_rules(
    gate: Gate, rng: random.Random, namespaces: list[str]
) -> tuple[dict[str, Object], list[Policy], dict[str, dict[str, str]]]:
    """Let there be other policies and labels; return the policies' specs, what is stored of them, and all labels."""
    specs = {f"p{place}": policy(rng, namespaces) for place in range(rng.randint(1, POLICIES_EACH))}
    marks = {name: labels(rng) for name in namespaces}
    policies = _write(gate, specs)
    stored = {name: _label(gate, name, wanted) for name, wanted in marks.items()}
    gate.settle()
    return specs, policies, stored


def _write(gate: Gate, specs: dict[str, Object]) -> list[Policy]:
    """Let there be these policies and no others, and return them as they are stored."""
    for name in {f"p{place}" for place in range(POLICIES_EACH)} - specs.keys():
        gate.ask("DELETE", f"{POLICIES}/{name}")
    for name, spec in specs.items():
        gate.put(name, **spec)
    stored = [gate.done("GET", f"{POLICIES}/{name}")["spec"] for name in specs]
    parsed = [NnunetTrainingPolicySpec.model_validate(spec) for spec in stored]
    return [Policy(name, 1, spec) for name, spec in zip(specs, parsed, strict=True)]


def _label(gate: Gate, namespace: str, wanted: dict[str, str]) -> dict[str, str]:
    """Give a namespace these labels under nnunet.dev/ and no others, and return all that it has."""
    path = f"/api/v1/namespaces/{namespace}"
    present = gate.done("GET", path)["metadata"]["labels"]
    patch = {key: None for key in present if key.startswith("nnunet.dev/")} | wanted
    changed = gate.done("PATCH", path, {"metadata": {"labels": patch}}, type_=MERGE)
    labels: dict[str, str] = changed["metadata"]["labels"]
    return labels
