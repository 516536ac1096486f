// Package v1alpha1 has the names by which Kueue knows a TrainJob, and nothing else of that API: as a whole it does not
// compile against Kubernetes 1.37.
package v1alpha1

import "k8s.io/apimachinery/pkg/runtime/schema"

// TrainJobKind is the kind of a TrainJob.
const TrainJobKind = "TrainJob"

// SchemeGroupVersion is the version that TrainJobs have.
var SchemeGroupVersion = schema.GroupVersion{Group: "trainer.kubeflow.org", Version: "v1alpha1"}
