"""Each rule of a policy, a training that breaks it, and what admission says then: the rows of test_admission.py."""

from typing import Any

from tests.support.api import Object

SLOW = {"schedule": {"initialLearningRate": 0.001}}
"""What nobody advises against where there are initial weights."""
LONG = [f"nnUNetTrainer_{number:02d}" for number in range(16)]

RULES: dict[str, tuple[Object, dict[str, Any], str]] = {
    "minEpochs": (
        {"minEpochs": 1001},
        {},
        "spec.schedule.epochs is 1000, must be at least 1001",
    ),
    "minIterationsPerEpoch": (
        {"minIterationsPerEpoch": 251},
        {"schedule": {"epochs": 1000, "iterationsPerEpoch": 250}},
        "spec.schedule.iterationsPerEpoch is 250, must be at least 251",
    ),
    "minInitialLearningRate": (
        {"minInitialLearningRate": 1},
        {"schedule": {"initialLearningRate": 0.001}},
        "spec.schedule.initialLearningRate is 0.001, must be at least 1",
    ),
    "maxWarmupEpochs": (
        {"maxWarmupEpochs": 0},
        {"schedule": {"learningRatePolicy": "PolyWithWarmup"}},
        "spec.schedule.warmupEpochs is 50, must be at most 0",
    ),
    "allowedPlanners": (
        {"allowedPlanners": ["ExperimentPlanner"]},
        {"planning": {"planner": "Tiny"}},
        "spec.planning.planner is Tiny, must be one of ExperimentPlanner",
    ),
    "minGpuMemoryTargetGB": (
        {"minGpuMemoryTargetGB": 24},
        {"planning": {"gpuMemoryTargetGB": 8.5}},
        "spec.planning.gpuMemoryTargetGB is 8.5, must be at least 24",
    ),
    "earlyStopping.allowedModes": (
        {"earlyStopping": {"allowedModes": ["Disabled", "Observe"]}},
        {"earlyStopping": {"mode": "Anneal"}},
        "spec.earlyStopping.mode is Anneal, must be one of Disabled, Observe",
    ),
    "earlyStopping.minEpochs": (
        {"earlyStopping": {"minEpochs": 500}},
        {"earlyStopping": {"mode": "Anneal", "minEpochs": 499}},
        "spec.earlyStopping.minEpochs is 499, must be at least 500",
    ),
    "requireImageDigest": (
        {"requireImageDigest": True},
        {"trainer": {"image": "trainer:latest"}},
        "spec.trainer.image is trainer:latest, must have a digest (NAME@sha256:...)",
    ),
    "requireImageDigest, unset": (
        {"requireImageDigest": True},
        {},
        "spec.trainer.image is not set, must have a digest (NAME@sha256:...)",
    ),
    "requireSeed": ({"requireSeed": True}, {}, "spec.trainer.seed is not set, must be a number"),
    "minReplicates": ({"minReplicates": 3}, {}, "spec.replicates is 1, must be at least 3"),
    "requireComparison": (
        {"requireComparison": {}, "minEpochs": 1001},
        {},
        "spec.schedule.epochs is 1000, must be at least 1001",
    ),
    "requireComparison, in the place of another rule": (
        {"requireComparison": {}, "minEpochs": 1001, "requireSeed": True},
        {"comparison": "shorter"},
        "spec.trainer.seed is not set, must be a number",
    ),
    "requireTestSet": (
        {"requireTestSet": True},
        {},
        "spec.testSet is not set, must name the folders of the test cases",
    ),
    "allowedTrainerClasses": (
        {"allowedTrainerClasses": LONG},
        {},
        f"spec.trainer.className is nnUNetTrainer, must be one of {', '.join(LONG)[:200]}...",
    ),
    "allowedConfigurations": (
        {"allowedConfigurations": ["2d", "3d_lowres"]},
        {},
        "spec.configurations sets 3d_fullres, may set only 2d, 3d_lowres",
    ),
    "allowedConfigurations, several": (
        {"allowedConfigurations": ["2d", "3d_lowres"]},
        {"configurations": ["2d", "3d_fullres", "own"]},
        "spec.configurations sets 3d_fullres and 1 more, may set only 2d, 3d_lowres",
    ),
    "allowedConfigurations, redefined": (
        {"allowedConfigurations": ["2d", "3d_fullres", "3d_lowres"]},
        {"planning": {"configurations": {"b": {}, "3d_fullres": {"patch_size": [16, 16, 16]}, "a": {}}}},
        "spec.planning.configurations sets 3d_fullres and 2 more, must be empty "
        "(so that an allowed name means what nnU-Net plans under it)",
    ),
    "allowedEnv": (
        {"allowedEnv": LONG},
        {"trainer": {"env": [{"name": "nnUNet_extTrainer"}, {"name": LONG[0]}, {"name": f"{LONG[0]}_"}]}},
        f"spec.trainer.env sets nnUNet_extTrainer and 1 more, may set only {', '.join(LONG)[:200]}...",
    ),
    "allowedEnv, none": (
        {"allowedEnv": []},
        {"trainer": {"env": [{"name": "nnUNet_compile", "value": "f"}]}},
        "spec.trainer.env sets nnUNet_compile, may set none",
    ),
    "maxGpus": (
        {"maxGpus": 3},
        {"resources": {"gpus": 2}},
        "spec.resources.gpus is 2 (4 in all folds at once), must be at most 3 in all (lower spec.maxParallelFolds)",
    ),
    "allowedImages": (
        {"allowedImages": ["registry.example/trainer", "registry.example/team/*"]},
        {"trainer": {"image": "registry.example/trainer-evil:1"}},
        "spec.trainer.image is registry.example/trainer-evil:1, must be one of registry.example/trainer, "
        "registry.example/team/*",
    ),
    "allowedImages, none": (
        {"allowedImages": []},
        {"trainer": {"image": "trainer:1"}},
        "spec.trainer.image is trainer:1, must not be set",
    ),
    "allowedClaims": (
        {"allowedClaims": ["nnunet-*"]},
        {
            "dataset": {"name": "Dataset004_A", "claimName": "postgres-data-0"},
            "storage": {"preprocessed": {"claimName": "pacs-archive"}, "results": {"claimName": "nnunet"}},
        },
        "spec.dataset.claimName is postgres-data-0, must be one of nnunet-*; "
        "spec.storage.preprocessed.claimName is pacs-archive, must be one of nnunet-*; "
        "spec.storage.results.claimName is nnunet, must be one of nnunet-*",
    ),
    "allowedGpuResources": (
        {"allowedGpuResources": ["nvidia.com/*"]},
        {"resources": {"gpuResourceName": "devices.kubevirt.io/kvm"}},
        "spec.resources.gpuResourceName is devices.kubevirt.io/kvm, must be one of nvidia.com/*",
    ),
    "allowedClaims, by a copy": (
        {"allowedClaims": ["nnunet-*", "storageclasses/nvme"]},
        {"storage": {"preprocessed": {"localCopy": {"claim": {"storageClassName": "archive", "size": "1Gi"}}}}},
        "spec.storage.preprocessed.localCopy.claim.storageClassName is storageclasses/archive, must be one of "
        "nnunet-*, storageclasses/nvme",
    ),
    "allowedGpuResources, by a claim": (
        {"allowedGpuResources": ["nvidia.com/*", "resourceclaimtemplates/one-gpu"]},
        {"resources": {"gpuClaimTemplateName": "all-gpus"}},
        "spec.resources.gpuClaimTemplateName is resourceclaimtemplates/all-gpus, must be one of nvidia.com/*, "
        "resourceclaimtemplates/one-gpu",
    ),
    "maxGpus, by a claim": (
        {"maxGpus": 8, "allowedGpuResources": ["*"]},
        {"resources": {"gpuClaimTemplateName": "all-gpus"}},
        "spec.resources.gpuClaimTemplateName is all-gpus, must not be set where maxGpus counts and allowedGpuResources "
        "names no resourceclaimtemplates/...: its claim may ask for more GPUs",
    ),
    "allowedServiceAccounts": (
        {"allowedServiceAccounts": ["default"]},
        {"podTemplate": {"serviceAccountName": "backup-to-s3"}},
        "spec.podTemplate.serviceAccountName is backup-to-s3, must be one of default",
    ),
    "allowedServiceAccounts, not set": (
        {"allowedServiceAccounts": ["trainer"]},
        {},
        "spec.podTemplate.serviceAccountName is default, must be one of trainer",
    ),
    "allowedPriorityClasses": (
        {"allowedPriorityClasses": []},
        {"podTemplate": {"priorityClassName": "system-node-critical"}, "queuePriorityClassName": "first"},
        "spec.podTemplate.priorityClassName is system-node-critical, must not be set; "
        "spec.queuePriorityClassName is first, must not be set",
    ),
    "allowedRuntimeClasses": (
        {"allowedRuntimeClasses": LONG},
        {"podTemplate": {"runtimeClassName": "kata"}},
        f"spec.podTemplate.runtimeClassName is kata, must be one of {', '.join(LONG)[:200]}...",
    ),
    "allowedImagePullSecrets": (
        {"allowedImagePullSecrets": []},
        {"podTemplate": {"imagePullSecrets": [{"name": "somebody-elses"}]}},
        "spec.podTemplate.imagePullSecrets sets somebody-elses, may set none",
    ),
    "allowedPodLabels": (
        {"allowedPodLabels": ["team", "example.org/*"]},
        {"podTemplate": {"labels": {"team": "a", "teams": "", "app": "pacs-gateway", "example.org/x": "1"}}},
        "spec.podTemplate.labels sets app and 1 more, may set only team, example.org/*",
    ),
    "allowedPodAnnotations": (
        {"allowedPodAnnotations": LONG},
        {"podTemplate": {"annotations": {"k8s.v1.cni.cncf.io/networks": "modality-vlan"}}},
        f"spec.podTemplate.annotations sets k8s.v1.cni.cncf.io/networks, may set only {', '.join(LONG)[:200]}...",
    ),
    "allowedNodeSelectors": (
        {"allowedNodeSelectors": ["nvidia.com/*"]},
        {"podTemplate": {"nodeSelector": {"node-role.kubernetes.io/control-plane": ""}}},
        "spec.podTemplate.nodeSelector sets node-role.kubernetes.io/control-plane, may set only nvidia.com/*",
    ),
    "allowedTolerations": (
        {"allowedTolerations": ["nvidia.com/gpu"]},
        {"podTemplate": {"tolerations": [{"key": "nvidia.com/gpu"}, {"operator": "Exists"}]}},
        "spec.podTemplate.tolerations sets *, may set only nvidia.com/gpu",
    ),
    "allowedAffinity": (
        {"allowedAffinity": ["nodeAffinity"]},
        {"podTemplate": {"affinity": {"nodeAffinity": {}, "podAntiAffinity": {}}}},
        "spec.podTemplate.affinity sets podAntiAffinity, may set only nodeAffinity",
    ),
    "allowedSecurityContext": (
        {"allowedSecurityContext": ["runAsUser/1500", "seLinuxOptions/*"]},
        {
            "podTemplate": {
                "securityContext": {"runAsUser": 1500, "supplementalGroups": [5000], "seLinuxOptions": {"level": "s0"}}
            }
        },
        "spec.podTemplate.securityContext sets runAsGroup/unset and 1 more, may set only runAsUser/1500, "
        "seLinuxOptions/*",
    ),
    "allowedSecrets": (
        {"allowedSecrets": ["team-*"]},
        {
            "trainer": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "pacs", "key": "k"}}}]},
            "podTemplate": {"volumes": [{"name": "a", "secret": {"secretName": "tls"}}]},
        },
        "spec.trainer.env.valueFrom.secretKeyRef sets pacs, may set only team-*; "
        "spec.podTemplate.volumes.secret sets tls, may set only team-*",
    ),
    "allowedConfigMaps": (
        {"allowedConfigMaps": []},
        {
            "trainer": {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "code", "key": "k"}}}]},
            "podTemplate": {"volumes": [{"name": "a", "configMap": {"name": "ca"}}]},
        },
        "spec.trainer.env.valueFrom.configMapKeyRef sets code, may set none; "
        "spec.podTemplate.volumes.configMap sets ca, may set none",
    ),
    "allowedJobAnnotations": (
        {"allowedJobAnnotations": ["provreq.kueue.x-k8s.io/*"]},
        {"podTemplate": {"jobAnnotations": {"provreq.kueue.x-k8s.io/a": "1", "note": "b"}}},
        "spec.podTemplate.jobAnnotations sets note, may set only provreq.kueue.x-k8s.io/*",
    ),
    "allowedInitialWeights": (
        {"allowedInitialWeights": ["training/released-*"]},
        {"initialWeights": {"training": {"name": "scratch"}}, **SLOW},
        "spec.initialWeights is training/scratch, must be one of training/released-*",
    ),
    **{
        f"allowedInitialWeights, not given beside {rule}": (
            {rule: value},
            {"initialWeights": {"claim": {"claimName": "models", "path": "a.pth"}}, **SLOW},
            "spec.initialWeights is claim/models, must not be set where a rule says what may be planned and none "
            "which weights (allowedInitialWeights): the plans come with them",
        )
        for rule, value in (
            ("allowedConfigurations", ["3d_fullres"]),
            ("allowedPlanners", ["ExperimentPlanner"]),
            ("minGpuMemoryTargetGB", 8),
        )
    },
}
