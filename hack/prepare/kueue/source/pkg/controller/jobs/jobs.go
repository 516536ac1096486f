// Package jobs links the one integration that the tests use: Jobs.
package jobs

import _ "sigs.k8s.io/kueue/pkg/controller/jobs/job"
