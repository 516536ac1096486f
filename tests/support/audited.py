"""The status of a run under policies, with all that an audit tells."""

from typing import Any

FOLD = {"phase": "Completed", "provenEpochs": 1000, "checkpointHash": "c0"}


STATUS: dict[str, Any] = {
    "phase": "Completed",
    "startTime": "2026-03-01T12:00:00+02:00",
    "completionTime": "2026-03-05T12:00:00Z",
    "conditions": [
        {
            "type": "PolicyCompliant",
            "status": "True",
            "reason": "PolicyExcepted",
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        },
        {
            "type": "StandardSchedule",
            "status": "False",
            "reason": "HollowEpochs",
            "message": "the rate",
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        },
    ],
    "folds": [
        {**FOLD, "fold": "0", "provenIterations": 250, "provenLearningRate": 0.01, "networkWeights": 31000000},
        {**FOLD, "fold": "1", "provenEpochs": 600, "checkpointHash": "c1", "provenLearningRate": 1e-12},
    ],
    "policy": {
        "decidedAt": "2026-03-01T12:00:00Z",
        "minEpochs": 500,
        "decisions": [
            {"policy": "house", "generation": 2, "mode": "Warn", "outcome": "Warned", "brokenRules": ["requireSeed"]},
            {"policy": "clinical", "generation": 3, "mode": "Enforce", "outcome": "Excepted", "ticket": "QM-17"},
        ],
        "exceptions": [
            {
                "policy": "clinical",
                "minEpochs": 500,
                "reason": "the scanner is gone",
                "ticket": "=HYPERLINK(A1)",
                "approvedBy": "dr.x@example.org",
                "expiresAt": "2026-06-01T00:00:00Z",
            }
        ],
        "accepted": [
            {
                "policy": "clinical",
                "generation": 3,
                "comparison": "shorter",
                "uid": "c0ffee",
                "registration": "d",
                "arm": "fast",
                "baseline": ["long"],
                "verdict": "NonInferior",
                "difference": -0.002,
                "low": -0.006,
                "high": 0.002,
                "maxDiceLoss": 0.01,
                "acceptedAt": "2026-03-06T12:00:00Z",
            }
        ],
    },
    "results": {"meanValidationDice": 0.91234, "testDice": {"mean": 0.88, "cases": 7}, "testSetHash": "7" * 64},
    "provenance": {
        "datasetHash": "d",
        "plansHash": "p",
        "splitsHash": "s",
        "imageDigest": "sha256:1",
        "slippedIn": [{"what": "LD_PRELOAD", "where": ["fold 0", "fold 1"]}],
        "evidencePath": "e",
    },
}
