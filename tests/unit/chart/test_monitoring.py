"""What the chart has for monitoring: it finds the pods that there are, and lets in who has to get in."""

import re
from typing import Any

import pytest
import yaml

from hack.generate.files import MONITORING
from hack.generate.metrics_reference import operator_metrics, trainer_metrics
from hack.prepare.helm import CHART, ROOT, HelmError, Object, merged
from nnunet_api.contract import METRICS_PORT
from nnunet_api.fold_key import FoldKey
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from tests.support.chart import render
from tests.support.made_trainings import OPTIONS, training
from tests.unit.chart.test_render import find

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
MONITORS = ("PodMonitor", "ServiceMonitor", "PrometheusRule")
TRAINING = training(testSet={})
PODS: dict[str, Object] = {
    stage: job["spec"]["template"]
    for stage, job in {
        "plan": plan_job(TRAINING, OPTIONS),
        "fold": fold_job(TRAINING, OPTIONS, FoldKey("3d_fullres", "0")),
        "verify": verify_job(TRAINING, OPTIONS),
        "evaluate": evaluate_job(TRAINING, OPTIONS),
    }.items()
}
PROMETHEUS: Object = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
}


def everything(**monitoring: Any) -> list[Object]:
    """Return the chart's objects with all of it on, and `monitoring` on top of that section."""
    return render(merged(MONITORING, {"monitoring": {"dashboards": {"create": True}, **monitoring}}))


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return everything()


def kinds(objects: list[Object]) -> set[str]:
    return {thing["kind"] for thing in objects}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Say whether a label selector matches."""
    exist = [rule["key"] for rule in selector.get("matchExpressions", ()) if rule["operator"] == "Exists"]
    assert len(exist) == len(selector.get("matchExpressions", ())), "the test knows no other operator"
    return selector.get("matchLabels", {}).items() <= labels.items() and set(exist) <= set(labels)


def only(values: list[Any]) -> Any:
    (value,) = values
    return value


# --- PodMonitor and ServiceMonitor


def test_the_pod_monitor_finds_pods_that_train_and_no_others(objects: list[Object]) -> None:
    spec = find(objects, "PodMonitor", "nnunet-operator-trainers")["spec"]
    found = {stage for stage, pod in PODS.items() if selects(spec["selector"], pod["metadata"]["labels"])}
    assert found == {"fold"}
    ports = {port["name"] for port in only(PODS["fold"]["spec"]["containers"])["ports"]}
    assert only(spec["podMetricsEndpoints"])["port"] in ports
    assert spec["namespaceSelector"] == {"any": True}


def test_what_one_pod_can_bring_is_bounded_alike_with_and_without_the_prometheus_operator(
    objects: list[Object],
) -> None:
    spec = find(objects, "PodMonitor", "nnunet-operator-trainers")["spec"]
    plain = yaml.safe_load((ROOT / "manifests" / "monitoring" / "prometheus.yaml").read_text())
    (job,) = [job for job in plain["scrape_configs"] if job["job_name"] == "nnunet-training"]
    limits = {"sampleLimit", "labelLimit", "labelNameLengthLimit", "labelValueLengthLimit", "bodySizeLimit"}
    bounds = {name: spec[name] for name in limits}
    assert bounds == {name: job[re.sub("([A-Z])", r"_\1", name).lower()] for name in limits}
    assert bounds["sampleLimit"] >= 10 * len(trainer_metrics()) and bounds["labelLimit"] >= 20


def test_the_pod_monitor_looks_where_the_operator_looks() -> None:
    values = {"watch": {"namespaces": ["a", "b"]}, "monitoring": {"podMonitor": {"create": True}}}
    spec = find(render(values), "PodMonitor", "nnunet-operator-trainers")["spec"]
    assert spec["namespaceSelector"] == {"matchNames": ["a", "b"]}


def test_the_service_monitor_finds_the_operators_service(objects: list[Object]) -> None:
    spec = find(objects, "ServiceMonitor")["spec"]
    service = find(objects, "Service", "nnunet-operator-metrics")
    assert selects(spec["selector"], service["metadata"]["labels"])
    assert only(spec["endpoints"])["port"] == only(service["spec"]["ports"])["name"]
    assert only(spec["endpoints"])["honorLabels"] is True


def test_without_the_service_there_is_nothing_to_monitor() -> None:
    with pytest.raises(HelmError, match=r"metricsService.create is false.*set both to true"):
        render(merged(MONITORING, {"metricsService": {"create": False}}))


def test_labels_by_which_prometheus_selects_reach_what_it_selects() -> None:
    labels = {"release": "kube-prometheus-stack", "app.kubernetes.io/name": "mine"}
    objects = everything(labels=labels, interval="1m")
    for kind in MONITORS:
        for thing in (thing for thing in objects if thing["kind"] == kind):
            found = thing["metadata"]["labels"]
            assert found["release"] == "kube-prometheus-stack", kind
            assert found["app.kubernetes.io/name"] == "nnunet-operator", "the chart's own labels win"
    assert only(find(objects, "ServiceMonitor")["spec"]["endpoints"])["interval"] == "1m"
    pods = find(objects, "PodMonitor", "nnunet-operator-trainers")
    assert only(pods["spec"]["podMetricsEndpoints"])["interval"] == "1m"


# --- the same without the Prometheus operator


def scrape_job(name: str) -> Object:
    configuration = yaml.safe_load((ROOT / "manifests" / "monitoring" / "prometheus.yaml").read_text())
    job: Object = only([job for job in configuration["scrape_configs"] if job["job_name"] == name])
    return job


def test_the_plain_configuration_scrapes_as_the_monitors_do(objects: list[Object]) -> None:
    """The job label too: the PodMonitor takes it from the label that `jobLabel` names."""
    pods = find(objects, "PodMonitor", "nnunet-operator-trainers")["spec"]
    job = scrape_job(PODS["fold"]["metadata"]["labels"][pods["jobLabel"]])
    selector = only(only(job["kubernetes_sd_configs"])["selectors"])
    assert dict([selector["label"].split("=")]) == pods["selector"]["matchLabels"]
    endpoint = only(pods["podMetricsEndpoints"])
    assert job.get("honor_labels", False) == endpoint["honorLabels"]
    assert snake(job["metric_relabel_configs"]) == snake(endpoint["metricRelabelings"])

    monitor = find(objects, "ServiceMonitor")["spec"]
    service = find(objects, "Service", "nnunet-operator-metrics")
    assert only(monitor["endpoints"])["relabelings"] == [{"targetLabel": "job", "replacement": "nnunet-operator"}]
    job = scrape_job("nnunet-operator")
    selector = only(only(job["kubernetes_sd_configs"])["selectors"])
    assert dict([selector["label"].split("=")]).items() <= service["spec"]["selector"].items()
    assert job["honor_labels"] == only(monitor["endpoints"])["honorLabels"]


def snake(relabelings: list[Object]) -> list[Object]:
    """Return relabelings of a monitor as Prometheus spells them."""
    return [{key.replace("L", "_l"): value for key, value in rule.items()} for rule in relabelings]


def test_trainers_cannot_speak_for_the_operator(objects: list[Object]) -> None:
    """Users choose the trainers' image: what they export under the operator's names is dropped, and nothing else."""
    endpoint = only(find(objects, "PodMonitor", "nnunet-operator-trainers")["spec"]["podMetricsEndpoints"])
    assert endpoint["honorLabels"] is False, "a pod must not choose its namespace"
    drop = only([rule for rule in endpoint["metricRelabelings"] if rule["action"] == "drop"])
    dropped = re.compile(drop["regex"])
    assert [metric.name for metric in operator_metrics() if not dropped.fullmatch(metric.name)] == []
    assert [metric.name for metric in trainer_metrics() if dropped.fullmatch(metric.name)] == []


def test_annotations_announce_the_operator_and_the_users_win() -> None:
    values = {"settings": {"scrapeAnnotations": True, "metricsPort": 9999}, "podAnnotations": {"note": "x"}}
    announced = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9999",
        "prometheus.io/path": "/metrics",
        "note": "x",
    }
    template = find(render(values), "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"] == announced
    own = {**values, "podAnnotations": {"prometheus.io/scrape": "false"}}
    template = find(render(own), "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/scrape"] == "false"


# --- alerts and dashboards


def test_the_alerts_are_those_of_the_file(objects: list[Object]) -> None:
    assert find(objects, "PrometheusRule")["spec"] == yaml.safe_load(ALERTS.read_text())


def test_single_alerts_can_be_left_out() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    whole_group = {rule.get("alert") for rule in groups[-1]["rules"]} - {None}
    off = sorted({names[0], *whole_group})
    spec = find(everything(prometheusRule={"create": True, "disabledAlerts": off}), "PrometheusRule")["spec"]
    left = [rule["alert"] for group in spec["groups"] for rule in group["rules"] if "alert" in rule]
    assert left == [name for name in names if name not in off]
    assert all(group["rules"] for group in spec["groups"]), "an empty group is not valid"


def test_an_unknown_alert_is_refused_with_those_there_are() -> None:
    known = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"][0]["alert"]
    with pytest.raises(HelmError, match=rf'disabledAlerts: there is no alert "TrainingStaled"; there are: .*{known}'):
        everything(prometheusRule={"create": True, "disabledAlerts": ["TrainingStaled"]})


def test_each_dashboard_is_in_a_config_map_for_the_sidecar(objects: list[Object]) -> None:
    assert DASHBOARDS, "there are no dashboards"
    maps = [thing for thing in objects if thing["kind"] == "ConfigMap"]
    texts = {}
    for thing in maps:
        assert thing["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert thing["metadata"]["namespace"] == "nnunet-system"
        texts.update(thing["data"])
    assert len(maps) == len(DASHBOARDS)
    assert texts == {f"nnunet-{path.name}": path.read_text().rstrip("\n") for path in DASHBOARDS}


def test_dashboards_go_where_the_sidecar_looks() -> None:
    chosen: Object = {
        "create": True,
        "namespace": "grafana",
        "labels": {"team": "imaging"},
        "annotations": {"grafana_folder": "nnU-Net"},
    }
    maps = [thing for thing in everything(dashboards=chosen) if thing["kind"] == "ConfigMap"]
    for thing in maps:
        assert thing["metadata"]["namespace"] == "grafana"
        assert thing["metadata"]["labels"]["team"] == "imaging"
        assert thing["metadata"]["annotations"] == {"grafana_folder": "nnU-Net"}
    assert maps


# --- NetworkPolicies


def test_every_stage_of_a_training_is_shut_off_but_for_its_metrics(objects: list[Object]) -> None:
    spec = find(objects, "NetworkPolicy", "nnunet-operator-trainers", "trainings")["spec"]
    assert all(selects(spec["podSelector"], pod["metadata"]["labels"]) for pod in PODS.values())
    assert spec["policyTypes"] == ["Ingress"]
    rule = only(spec["ingress"])
    assert rule["ports"] == [{"protocol": "TCP", "port": METRICS_PORT}]
    operator, *others = rule["from"]
    assert operator["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "nnunet-system"}}
    assert selects(operator["podSelector"], operator_pod(objects)["metadata"]["labels"])
    assert others == [PROMETHEUS]


def test_only_prometheus_reaches_the_operator() -> None:
    objects = render(merged(MONITORING, {"settings": {"metricsPort": 9999}}))
    spec = find(objects, "NetworkPolicy", "nnunet-operator", "nnunet-system")["spec"]
    assert selects(spec["podSelector"], operator_pod(objects)["metadata"]["labels"])
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"from": [PROMETHEUS], "ports": [{"protocol": "TCP", "port": 9999}]}]


def operator_pod(objects: list[Object]) -> Object:
    template: Object = find(objects, "Deployment")["spec"]["template"]
    return template


def test_a_prometheus_of_the_users_replaces_the_default() -> None:
    peer = {"ipBlock": {"cidr": "10.0.0.7/32"}}
    objects = render(merged(MONITORING, {"networkPolicy": {"prometheus": [peer]}}))
    assert only(find(objects, "NetworkPolicy")["spec"]["ingress"])["from"] == [peer]
    trainers = find(objects, "NetworkPolicy", "nnunet-operator-trainers")
    assert only(trainers["spec"]["ingress"])["from"][1:] == [peer]


def test_without_prometheus_nobody_gets_in_but_the_operator() -> None:
    """In a NetworkPolicy, a rule with an empty list of peers lets everybody in."""
    objects = render(merged(MONITORING, {"networkPolicy": {"prometheus": []}}))
    assert not find(objects, "NetworkPolicy")["spec"].get("ingress")
    trainers = find(objects, "NetworkPolicy", "nnunet-operator-trainers")
    assert len(only(trainers["spec"]["ingress"])["from"]) == 1


def test_each_part_is_switched_by_itself() -> None:
    for part, kind in (("podMonitor", "PodMonitor"), ("serviceMonitor", "ServiceMonitor")):
        found = kinds(render({"monitoring": {part: {"create": True}}}))
        assert found & {*MONITORS, "ConfigMap", "NetworkPolicy"} == {kind}
    assert "NetworkPolicy" in kinds(render({"networkPolicy": {"create": True}}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"monitoring": {"interval": "30"}}, "/monitoring/interval"),
        (
            {"monitoring": {"prometheusRule": {"disabledAlerts": ["a b"]}}},
            "/monitoring/prometheusRule/disabledAlerts/0",
        ),
        ({"monitoring": {"dashboards": {"namespace": "Grafana"}}}, "/monitoring/dashboards/namespace"),
        ({"networkPolicy": {"prometheus": [{}]}}, "/networkPolicy/prometheus/0"),
        ({"networkPolicy": {"trainingNamespaces": ["a", "a"]}}, "/networkPolicy/trainingNamespaces"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_name(values: Object, message: str) -> None:
    with pytest.raises(HelmError, match=message):
        render(values)


def test_the_values_in_the_documentation_are_valid() -> None:
    page = (ROOT / "docs" / "operations" / "monitoring.md").read_text()
    examples = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    values = [example for example in examples if "kind" not in example]
    assert len(values) >= 4
    for example in values:
        assert render(example)
