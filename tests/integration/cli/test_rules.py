"""What lint refuses offline by the rules of the definitions, the API server refuses in the same words."""

from typing import Any

import pytest

from tests.integration.cli.conftest import Site
from tests.support.rule_breakers import COMPARISONS, GOOD_HEADS, HEADS, POLICIES, TRAININGS

API = {"apiVersion": "nnunet.dev/v1alpha1"}


@pytest.fixture(scope="module")
def home(site: Site) -> str:
    return site.namespace("rules")


def training(home: str, metadata: Any, **spec: Any) -> Any:
    spec = {"dataset": {"name": "Dataset001_A"}, **spec}
    return {**API, "kind": "NnunetTraining", "metadata": {**metadata, "namespace": home}, "spec": spec}


def refusal(site: Site, plural: str, body: Any) -> str:
    return site.api.refusal(plural, body, fieldValidation="Strict")


@pytest.mark.parametrize(("said", "spec"), TRAININGS)
def test_trainings(site: Site, home: str, said: str, spec: Any) -> None:
    assert said in refusal(site, "nnunettrainings", training(home, {"name": "a"}, **spec))


@pytest.mark.parametrize(("said", "spec"), POLICIES)
def test_policies(site: Site, said: str, spec: Any) -> None:
    body = {"mode": "Enforce", "namespaces": ["default"], "rules": {}, **spec}
    policy = {**API, "kind": "NnunetTrainingPolicy", "metadata": {"name": "a"}, "spec": body}
    assert said in refusal(site, "nnunettrainingpolicies", policy)


@pytest.mark.parametrize(("said", "spec"), COMPARISONS)
def test_comparisons(site: Site, home: str, said: str, spec: Any) -> None:
    arms = [{"name": "a", "trainings": ["long"]}, {"name": "b", "trainings": ["short"]}]
    metadata = {"name": "a", "namespace": home}
    body = {**API, "kind": "NnunetComparison", "metadata": metadata, "spec": {"arms": arms, **spec}}
    assert said in refusal(site, "nnunetcomparisons", body)


@pytest.mark.parametrize(("said", "metadata"), HEADS)
def test_metadata(site: Site, home: str, said: str, metadata: Any) -> None:
    refused = refusal(site, "nnunettrainings", training(home, metadata))
    assert refused and said in refused


@pytest.mark.parametrize("metadata", GOOD_HEADS)
def test_good_metadata(site: Site, home: str, metadata: Any) -> None:
    assert refusal(site, "nnunettrainings", training(home, metadata)) == ""
