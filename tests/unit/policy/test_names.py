"""The rules on what a pod may be: each field by which a training becomes another pod, and the lists of names."""

from typing import Any

import pytest
from pydantic import ValidationError

from nnunet_api.policy.decision import decide
from tests.support.made_policies import NOW, exception, policy, subject

PLANNED: dict[str, Any] = {
    "allowedConfigurations": ["3d_fullres"],
    "allowedPlanners": ["ExperimentPlanner"],
    "minGpuMemoryTargetGB": 8,
}
"""What plans may be, which weights bring along."""


@pytest.mark.parametrize(
    ("rules", "spec", "expected"),
    [
        ({"allowedImages": []}, {}, []),
        (
            {"allowedImages": []},
            {"trainer": {"image": "a/b:1"}},
            ["spec.trainer.image is a/b:1, must not be set"],
        ),
        (
            {"allowedImages": ["a/b", "c/*"]},
            {"trainer": {"image": "a/b-evil"}},
            ["spec.trainer.image is a/b-evil, must be one of a/b, c/*"],
        ),
        (
            {"allowedClaims": ["nnunet-*"]},
            {"dataset": {"name": "Dataset004_A", "claimName": "pacs"}, "storage": {"results": {"claimName": "db-0"}}},
            [
                "spec.dataset.claimName is pacs, must be one of nnunet-*",
                "spec.storage.results.claimName is db-0, must be one of nnunet-*",
            ],
        ),
        (
            {"allowedClaims": ["nnunet-*"]},
            {"initialWeights": {"claim": {"claimName": "pacs", "path": "a.pth"}}},
            ["spec.initialWeights.claim.claimName is pacs, must be one of nnunet-*"],
        ),
        (
            {"allowedClaims": ["nnunet-*"]},
            {"storage": {"preprocessed": {"localCopy": {"claim": {"storageClassName": "nnunet-a", "size": "1Gi"}}}}},
            [
                "spec.storage.preprocessed.localCopy.claim.storageClassName is storageclasses/nnunet-a, must be one of "
                "nnunet-*"
            ],
        ),
        (
            {"allowedClaims": ["nnunet-*", "storageclasses/nvme"]},
            {"storage": {"preprocessed": {"localCopy": {"claim": {"storageClassName": "nvme", "size": "1Gi"}}}}},
            [],
        ),
        (
            {"allowedClaims": ["nnunet-*"]},
            {"storage": {"preprocessed": {"localCopy": {"sizeLimit": "1Gi"}}}},
            [],
        ),
        ({"allowedInitialWeights": []}, {}, []),
        (
            {"allowedInitialWeights": []},
            {"initialWeights": {"training": {"name": "base"}}},
            ["spec.initialWeights is training/base, must not be set"],
        ),
        (
            {"allowedInitialWeights": ["training/released-*", "claim/models"]},
            {"initialWeights": {"claim": {"claimName": "scratch", "path": "a.pth"}}},
            ["spec.initialWeights is claim/scratch, must be one of training/released-*, claim/models"],
        ),
        (
            {"allowedInitialWeights": ["training/released-*"]},
            {"initialWeights": {"training": {"name": "released-3"}}},
            [],
        ),
        *(
            (
                {rule: value},
                {"initialWeights": {"training": {"name": "base"}}},
                [
                    "spec.initialWeights is training/base, must not be set where a rule says what may be planned and "
                    "none which weights (allowedInitialWeights): the plans come with them"
                ],
            )
            for rule, value in PLANNED.items()
        ),
        (
            {**PLANNED, "allowedInitialWeights": ["training/base"]},
            {"initialWeights": {"training": {"name": "base"}}},
            [],
        ),
        (PLANNED, {}, []),
        ({"minEpochs": 1}, {"initialWeights": {"training": {"name": "base"}}}, []),
        ({"allowedGpuResources": ["nvidia.com/*"]}, {}, []),
        (
            {"allowedGpuResources": []},
            {"resources": {"gpuResourceName": "devices.kubevirt.io/kvm"}},
            ["spec.resources.gpuResourceName is devices.kubevirt.io/kvm, must not be set"],
        ),
        (
            {"allowedGpuResources": ["nvidia.com/*"]},
            {"resources": {"gpuClaimTemplateName": "nvidia.com"}},
            [
                "spec.resources.gpuClaimTemplateName is resourceclaimtemplates/nvidia.com, must be one of nvidia.com/*",
            ],
        ),
        ({"allowedGpuResources": ["resourceclaimtemplates/a*"]}, {"resources": {"gpuClaimTemplateName": "a-gpu"}}, []),
        (
            {"maxGpus": 8},
            {"resources": {"gpuClaimTemplateName": "a-gpu"}},
            [
                "spec.resources.gpuClaimTemplateName is a-gpu, must not be set where maxGpus counts and "
                "allowedGpuResources names no resourceclaimtemplates/...: its claim may ask for more GPUs"
            ],
        ),
        (
            {"maxGpus": 8, "allowedGpuResources": ["resourceclaimtemplates/a*"]},
            {"resources": {"gpuClaimTemplateName": "a-gpu"}},
            [],
        ),
        (
            {"allowedGpuResources": []},
            {"resources": {"gpus": 0}, "trainer": {"device": "cpu"}},
            [],
        ),
        ({"allowedServiceAccounts": ["default"]}, {}, []),
        ({"allowedServiceAccounts": ["default"]}, {"podTemplate": {"serviceAccountName": ""}}, []),
        (
            {"allowedServiceAccounts": ["trainer"]},
            {},
            ["spec.podTemplate.serviceAccountName is default, must be one of trainer"],
        ),
        ({"allowedPriorityClasses": [], "allowedRuntimeClasses": []}, {}, []),
        (
            {"allowedPriorityClasses": [], "allowedRuntimeClasses": ["nvidia"]},
            {
                "podTemplate": {"priorityClassName": "system-node-critical", "runtimeClassName": "kata"},
                "queuePriorityClassName": "first",
            },
            [
                "spec.podTemplate.priorityClassName is system-node-critical, must not be set",
                "spec.queuePriorityClassName is first, must not be set",
                "spec.podTemplate.runtimeClassName is kata, must be one of nvidia",
            ],
        ),
        (
            {"allowedImagePullSecrets": ["ours"]},
            {"podTemplate": {"imagePullSecrets": [{"name": "ours"}, {"name": "theirs"}]}},
            ["spec.podTemplate.imagePullSecrets sets theirs, may set only ours"],
        ),
        (
            {"allowedPodLabels": ["team", "example.org/*"], "allowedPodAnnotations": [], "allowedNodeSelectors": ["*"]},
            {
                "podTemplate": {
                    "labels": {"team": "a", "example.org/x": "", "tea": "b", "app": "pacs"},
                    "annotations": {"k8s.v1.cni.cncf.io/networks": "modality"},
                    "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
                }
            },
            [
                "spec.podTemplate.labels sets app and 1 more, may set only team, example.org/*",
                "spec.podTemplate.annotations sets k8s.v1.cni.cncf.io/networks, may set none",
            ],
        ),
        (
            {"allowedNodeSelectors": ["nvidia.com/*"]},
            {
                "podTemplate": {
                    "nodeSelector": {"nvidia.com/gpu.product": "a", "node-role.kubernetes.io/control-plane": ""}
                }
            },
            ["spec.podTemplate.nodeSelector sets node-role.kubernetes.io/control-plane, may set only nvidia.com/*"],
        ),
        (
            {"allowedTolerations": ["nvidia.com/gpu"]},
            {"podTemplate": {"tolerations": [{"key": "nvidia.com/gpu"}, {"operator": "Exists"}]}},
            ["spec.podTemplate.tolerations sets *, may set only nvidia.com/gpu"],
        ),
        ({"allowedTolerations": ["*"]}, {"podTemplate": {"tolerations": [{"operator": "Exists"}]}}, []),
        (
            {"allowedAffinity": ["nodeAffinity"]},
            {"podTemplate": {"affinity": {"nodeAffinity": {}, "podAntiAffinity": {}}}},
            ["spec.podTemplate.affinity sets podAntiAffinity, may set only nodeAffinity"],
        ),
        ({"allowedSecurityContext": []}, {"podTemplate": {"nodeSelector": {}}}, []),
        (
            {"allowedSecurityContext": ["runAsUser/1500", "runAsGroup/unset", "supplementalGroups/*"]},
            {"podTemplate": {"securityContext": {"runAsUser": 1500, "supplementalGroups": [5000, 6000]}}},
            [],
        ),
        (
            {"allowedSecurityContext": ["runAsUser/1500"]},
            {"podTemplate": {"securityContext": {"fsGroup": 0, "seLinuxOptions": {"level": "s0"}}}},
            ["spec.podTemplate.securityContext sets fsGroup/0 and 3 more, may set only runAsUser/1500"],
        ),
        (
            {"allowedSecurityContext": ["run*", "seccompProfile/RuntimeDefault", "appArmorProfile/Localhost/trainer"]},
            {
                "podTemplate": {
                    "securityContext": {
                        "supplementalGroupsPolicy": "Merge",
                        "seccompProfile": {"type": "Localhost", "localhostProfile": "RuntimeDefault"},
                        "appArmorProfile": {"type": "Localhost", "localhostProfile": "trainer"},
                    }
                }
            },
            [
                "spec.podTemplate.securityContext sets seccompProfile/Localhost/RuntimeDefault and 1 more, may set "
                "only run*, seccompProfile/RuntimeDefault, appArmorProfile/Localhost/trainer"
            ],
        ),
        (
            {"allowedSecurityContext": ["runAsUser/15"]},
            {"podTemplate": {"securityContext": {"runAsUser": 1500, "runAsGroup": 15}}},
            ["spec.podTemplate.securityContext sets runAsGroup/15 and 1 more, may set only runAsUser/15"],
        ),
        (
            {"allowedSecrets": ["team-*"], "allowedConfigMaps": []},
            {
                "trainer": {
                    "env": [
                        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "pacs", "key": "k"}}},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "code", "key": "k"}}},
                        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "team-a", "key": "k"}}},
                    ]
                },
                "podTemplate": {
                    "volumes": [
                        {"name": "a", "secret": {"secretName": "tls"}},
                        {"name": "b", "configMap": {"name": "ca"}},
                    ]
                },
            },
            [
                "spec.trainer.env.valueFrom.secretKeyRef sets pacs, may set only team-*",
                "spec.podTemplate.volumes.secret sets tls, may set only team-*",
                "spec.trainer.env.valueFrom.configMapKeyRef sets code, may set none",
                "spec.podTemplate.volumes.configMap sets ca, may set none",
            ],
        ),
        (
            {"allowedEnv": ["WANDB_*"]},
            {"trainer": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}},
            ["spec.trainer.env sets A, may set only WANDB_*"],
        ),
        (
            {"allowedJobAnnotations": ["provreq.kueue.x-k8s.io/*"]},
            {"podTemplate": {"jobAnnotations": {"provreq.kueue.x-k8s.io/a": "1", "note": "b"}}},
            ["spec.podTemplate.jobAnnotations sets note, may set only provreq.kueue.x-k8s.io/*"],
        ),
    ],
)
def test_rules(rules: dict[str, Any], spec: dict[str, Any], expected: list[str]) -> None:
    decision = decide(subject(**spec), {}, [policy(rules=rules)], NOW)
    (verdict,) = decision.verdicts
    assert [violation.message for violation in verdict.violations] == expected
    assert decision.allowed is (expected == [])


HEX = "a" * 64


@pytest.mark.parametrize(
    ("allowed", "image", "expected"),
    [
        ("reg.example/team", "reg.example/team", True),
        ("reg.example/team", "reg.example/team:1", True),
        ("reg.example/team", f"reg.example/team@sha256:{HEX}", True),
        ("reg.example/team", f"reg.example/team:1@sha256:{HEX}", True),
        ("reg.example/team", "reg.example/team-evil:1", False),
        ("reg.example/team", "reg.example/team/x", False),
        ("reg.example/team/*", "reg.example/team/x:1", True),
        ("reg.example/team/*", "reg.example/team/x/y", True),
        ("reg.example/team/*", "reg.example/team", False),
        ("reg.example/team/*", "reg.example/team-evil/x", False),
        ("reg.example/team/*", "reg.example/team/../evil/x", False),
        ("reg.example/team/*", "reg.example/team//evil.example/x", False),
        ("reg.example/team/*", "reg.example/team/x:v1..2", True),
        ("reg.example/*", "reg.example/x", True),
        ("reg.example/*", "reg.example:5000/x", False),
        ("reg.example:5000/*", "reg.example:5000/x", True),
        ("reg.example:5000/*", "reg.example:50000/x", False),
        ("reg.example:5000/x", "reg.example:5000/x:1", True),
        pytest.param("trainer", "trainer:5000/evil", False, id="a port is no tag"),
        pytest.param("trainer", "trainer:5000/trainer:1", False, id="nor where a tag follows"),
        ("trainer", "trainer:5000", True),
        pytest.param("trainer", "trainer/evil", False, id="somebody else's folder of Docker Hub"),
        pytest.param("trainer", "docker.io/library/trainer", False, id="names are compared as they are written"),
        pytest.param("docker.io/library/trainer", "trainer:1", False, id="and nothing is added to them"),
        (f"reg.example/team@sha256:{HEX}", f"reg.example/team@sha256:{HEX}", True),
        (f"reg.example/team@sha256:{HEX}", f"reg.example/team@sha256:{HEX[:-1]}b", False),
        (f"reg.example/team@sha256:{HEX}", f"reg.example/other@sha256:{HEX}", False),
        (f"reg.example/team@sha256:{HEX}", "reg.example/team:1", False),
    ],
)
def test_which_images_a_repository_stands_for(allowed: str, image: str, expected: bool) -> None:
    kept = policy(rules={"allowedImages": ["other.example/*", allowed]})
    assert decide(subject(trainer={"image": image}), {}, [kept], NOW).allowed is expected


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "/*", "reg/*/x", "reg/team*", "reg/x:1", "reg/x:1@sha256:" + HEX, "reg/x@sha256:ab", "a b", "/x"],
)
def test_images_are_repositories_folders_or_digests_and_never_half_a_name(pattern: str) -> None:
    """A tag can be moved to another image, so a policy can't name one."""
    with pytest.raises(ValidationError, match="allowedImages"):
        policy(rules={"allowedImages": [pattern]})


@pytest.mark.parametrize("key", [None, ""])
def test_a_toleration_without_a_key_tolerates_all(key: Any) -> None:
    broken = subject(podTemplate={"tolerations": [{"key": key, "operator": "Exists"}]})
    (verdict,) = decide(broken, {}, [policy(rules={"allowedTolerations": ["a*"]})], NOW).verdicts
    assert verdict.violations[0].value == ["*"]


@pytest.mark.parametrize(
    ("lifted", "allowed"),
    [(["allowedInitialWeights"], True), (list(PLANNED), True), (list(PLANNED)[1:], False)],
)
def test_an_exception_lets_weights_in_or_drops_what_they_stand_against(lifted: list[str], allowed: bool) -> None:
    of = policy(rules=PLANNED, exceptions=[exception(liftedRules=lifted)])
    decision = decide(subject(initialWeights={"training": {"name": "base"}}), {}, [of], NOW)
    assert decision.allowed == allowed
