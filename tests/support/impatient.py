"""The operator as it is, but that it waits less for more of the same: here one training has a cluster to itself."""

import os
import sys

from kubernetes.aio.config import kube_config

from nnunet_operator.__main__ import main
from nnunet_operator.runtime.patience import Patience

PATIENCE = Patience(
    created=0.2,
    children=0.1,
    policies=0.3,
    relists=0.2,
    first_lists=1.0,
    refused=2.0,
    errors=2.0,
    sign_of_life=2.0,
    moment=2.0,
    job_without_pod=1.0,
    pod_events=2.0,
    unseen=10.0,
)

if __name__ == "__main__":
    # Which it reads once, when it is imported: in the process that this one was forked from.
    kube_config.KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]
    sys.exit(main([], PATIENCE))
