{{- define "nnunet-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nnunet-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "nnunet-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "nnunet-operator.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "nnunet-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "nnunet-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nnunet-operator.labels" -}}
{{ include "nnunet-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels of what Prometheus selects by its labels: the user's and the chart's, which win. */}}
{{- define "nnunet-operator.monitoringLabels" -}}
{{- merge (include "nnunet-operator.labels" . | fromYaml) (default (dict) .Values.monitoring.labels) | toYaml }}
{{- end }}

{{/* Annotations of the operator's pod: the user's, which win, and where asked for those that announce its metrics. */}}
{{- define "nnunet-operator.podAnnotations" -}}
{{- $scrape := dict }}
{{- if .Values.settings.scrapeAnnotations }}
{{- $port := toString .Values.settings.metricsPort }}
{{- $scrape = dict "prometheus.io/scrape" "true" "prometheus.io/port" $port "prometheus.io/path" "/metrics" }}
{{- end }}
{{- merge (dict) (default (dict) .Values.podAnnotations) $scrape | toYaml }}
{{- end }}

{{- define "nnunet-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "nnunet-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is required when serviceAccount.create is false: name the ServiceAccount to use" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* An image reference. Takes a dict: image (repository, tag, digest), default (tag), name (of the value, for the error). */}}
{{- define "nnunet-operator.image" -}}
{{- $hint := printf "%s.repository is required: the image that \"make images\" builds, in a registry that the cluster pulls from, for example registry.example.org/%s" .name .example }}
{{- $repository := required $hint .image.repository }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .default .image.tag) }}
{{- end }}
{{- end }}

{{- define "nnunet-operator.operatorImage" -}}
{{- include "nnunet-operator.image" (dict "image" .Values.image "default" .Chart.AppVersion "name" "image" "example" "nnunet-operator") }}
{{- end }}

{{- define "nnunet-operator.trainerImage" -}}
{{- include "nnunet-operator.image" (dict "image" .Values.trainer.image "default" .Chart.AppVersion "name" "trainer.image" "example" "nnunet-trainer") }}
{{- end }}

{{- define "nnunet-operator.crdAnnotations" -}}
{{- if .Values.crds.keep }}
helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{/* The definition of trainings says which image the operator was installed with: `kubectl nnunet` runs it in its pods. */}}
{{- define "nnunet-operator.trainingCrdAnnotations" -}}
{{- include "nnunet-operator.crdAnnotations" . }}
nnunet.dev/trainer-image: {{ include "nnunet-operator.trainerImage" . | quote }}
{{- with include "nnunet-operator.trainerPullSecrets" . }}
nnunet.dev/trainer-image-pull-secrets: {{ . | quote }}
{{- end }}
nnunet.dev/trainer-security-context: {{ .Values.trainer.securityContext | toJson | quote }}
{{- end }}

{{/* Names of the trainer's pull secrets, joined by commas. */}}
{{- define "nnunet-operator.trainerPullSecrets" -}}
{{- $names := list }}
{{- range .Values.trainer.imagePullSecrets }}
{{- $names = append $names .name }}
{{- end }}
{{- join "," $names }}
{{- end }}

{{/* What the operator may do. The verbs are those that it uses; a test runs it under exactly these. */}}
{{- define "nnunet-operator.rules" -}}
- apiGroups: [nnunet.dev]
  resources: [nnunettrainings, nnunetcomparisons]
  verbs: [get, list, watch, delete]
# Trainings that a comparison makes from its template, and suspends and resumes.
- apiGroups: [nnunet.dev]
  resources: [nnunettrainings]
  verbs: [create, patch]
- apiGroups: [nnunet.dev]
  resources: [nnunettrainings/status, nnunetcomparisons/status]
  verbs: [patch]
# Ledgers of looks at test sets: made and written, never deleted.
- apiGroups: [nnunet.dev]
  resources: [nnunettestsets]
  verbs: [get, list, watch, create]
- apiGroups: [nnunet.dev]
  resources: [nnunettestsets/status]
  verbs: [patch]
# Where the OwnerReferencesPermissionEnforcement admission plugin is on, Jobs may carry blockOwnerDeletion only with this.
- apiGroups: [nnunet.dev]
  resources: [nnunettrainings/finalizers, nnunetcomparisons/finalizers]
  verbs: [update]
# No such subresource exists: a ValidatingAdmissionPolicy asks for this right to tell the operator from those who make
# Jobs and Pods with its labels by hand.
- apiGroups: [nnunet.dev]
  resources: [nnunettrainings/jobs]
  verbs: [create]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
# Why a Job waits in a queue of Kueue. Where there is no Kueue, the API server knows no such resource.
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end }}

{{/* What the operator needs of objects that are in no namespace. */}}
{{- define "nnunet-operator.clusterRules" -}}
- apiGroups: [nnunet.dev]
  resources: [nnunettrainingpolicies]
  verbs: [get, list, watch]
- apiGroups: [nnunet.dev]
  resources: [nnunettrainingpolicies/status]
  verbs: [patch]
# Policies select namespaces by their labels.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
{{- end }}
