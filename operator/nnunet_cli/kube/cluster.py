"""The cluster of a kubeconfig, by the official client. Every failure is said in words."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from nnunet_api import kueue, test_set, training
from nnunet_api.base import GROUP, VERSION
from nnunet_api.comparison import model as comparison
from nnunet_api.contract import CONTAINER_NAME
from nnunet_api.policy import model as policy
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Answer, Refused, answer_of
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.impersonation import in_websockets
from nnunet_cli.kube.kubeconfig import log_in

Object = dict[str, Any]

PAGE = 500
"""Objects that are asked for at once."""
TIMEOUT_SECONDS = 30
_TRAININGS = training.PLURAL
_SERVER_FIELDS = ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink")


class Unreachable(CliError):
    """The cluster does not answer, or not to this user."""


class Cluster:
    """Reads what the commands need. Raises CliError where the cluster can't be reached, NoKubeconfig before that."""

    def __init__(self, to: Connection, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        # Loading the client takes longer than everything that works without a cluster.
        from kubernetes import client

        settings = client.Configuration()
        settings.retries = False  # a cluster that is away is said so at once
        login = log_in(to, settings)
        self._client, self._impersonation = login.client, login.impersonation
        self.namespace = login.namespace
        """Namespace of the context."""
        self._host = settings.host
        given = to.request_timeout
        self._timeout_seconds = timeout_seconds if given is None else given or None

    def trainings(self, namespace: str | None) -> list[Object]:
        """Return all trainings of a namespace, or of the cluster. Raises Refused."""
        return self._all(training.PLURAL, namespace)

    def test_sets(self, namespace: str | None) -> list[Object]:
        """Return the ledgers of all test sets of a namespace, or of the cluster. Raises Refused."""
        return self._all(test_set.PLURAL, namespace)

    def training(self, namespace: str, name: str) -> Object | None:
        """Return a training, or None where there is none of this name. Raises Refused."""
        return self._found(namespace, name, training.PLURAL)

    def comparisons(self, namespace: str | None) -> list[Object]:
        """Return all comparisons of a namespace, or of the cluster. Raises Refused."""
        return self._all(comparison.PLURAL, namespace)

    def _all(self, plural: str, namespace: str | None) -> list[Object]:
        where = {} if namespace is None else {"namespace": namespace}
        return self._pages(self._list_custom, plural=plural, **where)

    def comparison(self, namespace: str, name: str) -> Object | None:
        """Return a comparison, or None where there is none of this name. Raises Refused."""
        return self._found(namespace, name, comparison.PLURAL)

    def _found(self, namespace: str, name: str, plural: str) -> Object | None:
        one = {**_one(namespace, name), "plural": plural}
        try:
            found: Object = self._ask(self._custom.get_namespaced_custom_object, **one).body
        except Refused as refused:
            if refused.answer.status == 404 and refused.answer.details.get("name") == name:
                return None  # and not the kind that is missing, of which a Status has no name
            raise
        return found

    def change(self, namespace: str, name: str, patch: Object) -> Object:
        """Change a training by a merge patch and return it. Raises Refused."""
        send = self._custom.patch_namespaced_custom_object
        kind = "application/merge-patch+json"
        changed: Object = self._ask(send, **_one(namespace, name), body=patch, _content_type=kind).body
        return changed

    def jobs(self, namespace: str, labels: str) -> list[Object]:
        """Return the Jobs of a namespace with these labels. Raises Refused."""
        return self._pages(self._batch.list_namespaced_job, namespace=namespace, label_selector=labels)

    def job(self, namespace: str, name: str) -> Object | None:
        """Return a Job, or None where there is none of this name. Raises Refused."""
        try:
            found: Object = self._ask(self._batch.read_namespaced_job, namespace=namespace, name=name).body
        except Refused as refused:
            if refused.answer.status == 404:
                return None
            raise
        return found

    def create_job(self, namespace: str, body: Object) -> Object:
        """Create a Job and return it. Raises Refused."""
        made: Object = self._ask(self._batch.create_namespaced_job, namespace=namespace, body=body).body
        return made

    def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete this Job, which is there until its pods are gone. Raises Refused."""
        options = {"propagationPolicy": "Foreground", "preconditions": {"uid": uid}}
        self._ask(self._batch.delete_namespaced_job, namespace=namespace, name=name, body=options)

    def pods(self, namespace: str, labels: str) -> list[Object]:
        """Return the pods of a namespace with these labels. Raises Refused."""
        return self._pages(self._core.list_namespaced_pod, namespace=namespace, label_selector=labels)

    def events(self, namespace: str, fields: str = "") -> list[Object]:
        """Return the Events of a namespace, or those of them with these fields. Raises Refused."""
        return self._pages(self._core.list_namespaced_event, namespace=namespace, field_selector=fields)

    def quotas(self, namespace: str) -> list[Object]:
        """Return the ResourceQuotas of a namespace. Raises Refused."""
        return self._pages(self._core.list_namespaced_resource_quota, namespace=namespace)

    def workloads(self, namespace: str, labels: str) -> list[Object]:
        """Return Workloads of Kueue; none where there is no Kueue. Raises Refused."""
        for version in kueue.VERSIONS:
            place = {"group": kueue.GROUP, "version": version, "plural": kueue.PLURAL, "namespace": namespace}
            try:
                return self._pages(self._custom.list_namespaced_custom_object, label_selector=labels, **place)
            except Refused as refused:
                if refused.answer.status != 404:
                    raise
        return []

    def claims(self, namespace: str) -> list[Object]:
        """Return the PersistentVolumeClaims of a namespace. Raises Refused."""
        return self._pages(self._core.list_namespaced_persistent_volume_claim, namespace=namespace)

    def service_account(self, namespace: str, name: str) -> Object:
        """Return a ServiceAccount. Raises Refused."""
        found: Object = self._ask(self._core.read_namespaced_service_account, namespace=namespace, name=name).body
        return found

    def class_(self, group: str, plural: str, name: str) -> Object:
        """Return a class of the cluster, such as a PriorityClass. Raises Refused."""
        what = {"group": group, "version": "v1", "plural": plural, "name": name}
        found: Object = self._ask(self._custom.get_cluster_custom_object, **what).body
        return found

    def log(
        self, namespace: str, pod: str, *, follow: bool = False, tail: int | None = None, since: int | None = None
    ) -> Iterator[str]:
        """Yield the lines of a trainer pod's log, or those of the last seconds; with `follow` until its container ends.

        Raises Refused.
        """
        from urllib3.exceptions import HTTPError

        response = self._send(
            self._core.read_namespaced_pod_log,
            namespace=namespace,
            name=pod,
            container=CONTAINER_NAME,
            follow=follow,
            tail_lines=tail,
            since_seconds=since,
            # A trainer may be silent for the length of an epoch.
            _request_timeout=(self._timeout_seconds, 24 * 3600.0) if follow else self._timeout_seconds,
        )
        try:
            for line in response:
                yield line.decode(errors="replace").rstrip("\r\n")
        except (HTTPError, OSError) as error:
            raise self._unreachable(str(error)) from None
        finally:
            response.close()

    def create_pod(self, namespace: str, body: Object) -> Object:
        """Create a pod and return it. Raises Refused."""
        made: Object = self._ask(self._core.create_namespaced_pod, namespace=namespace, body=body).body
        return made

    def pod(self, namespace: str, name: str) -> Object:
        """Return a pod. Raises Refused."""
        found: Object = self._ask(self._core.read_namespaced_pod, namespace=namespace, name=name).body
        return found

    def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a pod. Raises Refused."""
        self._ask(self._core.delete_namespaced_pod, namespace=namespace, name=name)

    def run_in_pod(self, namespace: str, pod: str, container: str, command: list[str]) -> Any:
        """Run a command in a pod; return its kubernetes.stream.ws_client.WSClient, for bytes. Raises Refused."""
        from kubernetes.client import ApiException
        from kubernetes.stream import stream
        from websocket import WebSocketBadStatusException

        try:
            with in_websockets(self._impersonation):
                return stream(
                    self._core.connect_get_namespaced_pod_exec,
                    pod,
                    namespace,
                    container=container,
                    command=command,
                    stdin=True,
                    stdout=True,
                    stderr=True,
                    tty=False,
                    _preload_content=False,
                    binary=True,
                )
        except ApiException as error:
            # The client makes words of the HTTP answer that refuses a websocket; what it had is the exception before.
            if isinstance(refused := error.__context__, WebSocketBadStatusException):
                raise Refused(answer_of(refused.status_code, refused.resp_body, None)) from None
            raise self._unreachable(str(error.reason)) from None

    def definition(self) -> Object:
        """Return the CustomResourceDefinition of trainings. Raises Refused."""
        name = f"{training.PLURAL}.{GROUP}"
        found: Object = self._ask(self._extensions.read_custom_resource_definition, name=name).body
        return found

    def policies(self) -> list[Object]:
        """Return all policies. Raises Refused."""
        return self._pages(self._list_custom, plural=policy.PLURAL)

    def roles_and_bindings(self) -> tuple[list[Object], list[Object]]:
        """Return all Roles and ClusterRoles, and all their bindings, each with its kind. Raises Refused."""
        rbac = self._rbac
        roles = {"ClusterRole": rbac.list_cluster_role, "Role": rbac.list_role_for_all_namespaces}
        bindings = {
            "ClusterRoleBinding": rbac.list_cluster_role_binding,
            "RoleBinding": rbac.list_role_binding_for_all_namespaces,
        }
        # The items of a list do not say their kind.
        both = [
            [{**body, "kind": kind} for kind, ask in kinds.items() for body in self._pages(ask)]
            for kinds in (roles, bindings)
        ]
        return both[0], both[1]

    def namespaces(self) -> list[str]:
        """Return the names of all namespaces. Raises Refused."""
        return sorted(body["metadata"]["name"] for body in self._pages(self._core.list_namespace))

    def labels(self, namespace: str) -> Mapping[str, str]:
        """Return the labels of a namespace. Raises Refused."""
        answer = self._ask(self._core.read_namespace, name=namespace)
        return answer.body["metadata"].get("labels") or {}

    def try_create(self, body: Object, namespace: str, plural: str = _TRAININGS) -> Answer:
        """Let the API server say what it would say to a new training, or comparison; nothing is created."""
        metadata = {key: value for key, value in body["metadata"].items() if key not in _SERVER_FIELDS}
        tried = {**body, "metadata": {**metadata, "namespace": namespace}}
        try:
            return self._ask(
                self._custom.create_namespaced_custom_object,
                **_CUSTOM,
                plural=plural,
                namespace=namespace,
                body=tried,
                dry_run="All",
                field_validation="Strict",
            )
        except Refused as refused:
            return refused.answer

    def try_update(self, body: Object, namespace: str) -> Answer:
        """Let the API server say what it would say to a training that takes the place of one; nothing is changed."""
        name = str(body["metadata"].get("name") or "")
        try:
            stored = self._ask(self._custom.get_namespaced_custom_object, **_one(namespace, name)).body
            return self._ask(
                self._custom.replace_namespaced_custom_object,
                **_one(namespace, name),
                body={**stored, "apiVersion": body.get("apiVersion"), "spec": body.get("spec")},
                dry_run="All",
                field_validation="Strict",
            )
        except Refused as refused:
            return refused.answer

    def may(self, verb: str, namespace: str, plural: str = _TRAININGS) -> bool:
        """Say whether the user may do something with trainings of a namespace, as far as RBAC goes."""
        attributes = {"verb": verb, "group": GROUP, "resource": plural, "namespace": namespace}
        body = {"spec": {"resourceAttributes": attributes}}
        try:
            answer = self._ask(self._authorization.create_self_subject_access_review, body=body)
        except Refused:
            return False
        return bool((answer.body.get("status") or {}).get("allowed"))

    _authorization = cached_property(lambda self: _api(self._client, "AuthorizationV1Api"))
    _rbac = cached_property(lambda self: _api(self._client, "RbacAuthorizationV1Api"))
    _core = cached_property(lambda self: _api(self._client, "CoreV1Api"))
    _extensions = cached_property(lambda self: _api(self._client, "ApiextensionsV1Api"))
    _batch = cached_property(lambda self: _api(self._client, "BatchV1Api"))
    _custom = cached_property(lambda self: _api(self._client, "CustomObjectsApi"))

    def _list_custom(self, **arguments: Any) -> Any:
        if "namespace" in arguments:
            return self._custom.list_namespaced_custom_object(**_CUSTOM, **arguments)
        return self._custom.list_cluster_custom_object(**_CUSTOM, **arguments)

    def _pages(self, ask: Callable[..., Any], **arguments: Any) -> list[Object]:
        """Return the items of a list, which is asked for page by page."""
        items: list[Object] = []
        token = ""
        while True:
            page = {"limit": PAGE, "_continue": token} if token else {"limit": PAGE}
            try:
                body = self._ask(ask, **arguments, **page).body
            except Refused as refused:
                if refused.answer.status != 410 or not token:
                    raise
                # The list took so long that the server has forgotten its beginning: all at once, then.
                items, body = [], self._ask(ask, **arguments).body
            items += body["items"]
            token = body["metadata"].get("continue") or ""
            if not token:
                return items

    def _ask(self, request: Callable[..., Any], **arguments: Any) -> Answer:
        """Send a request and read the answer. Raises Refused, and CliError where there is no answer to it."""
        from urllib3.exceptions import HTTPError

        response = self._send(request, _request_timeout=self._timeout_seconds, **arguments)
        try:
            return answer_of(response.status, response.data, response.headers)
        except (HTTPError, OSError) as error:
            raise self._unreachable(str(error)) from None

    def _send(self, request: Callable[..., Any], **arguments: Any) -> Any:
        """Send a request and return the response, of which only the head is read. Raises as _ask does."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            response = request(**arguments, _preload_content=False)
            if response.status < 300:
                return response
            answer = answer_of(response.status, response.data, response.headers)
        except ApiException as error:
            if not error.status:
                raise self._unreachable(str(error.reason)) from None
            answer = answer_of(error.status, error.body, error.headers)
        except (HTTPError, OSError) as error:
            raise self._unreachable(str(error)) from None
        if answer.status == 401 or answer.status >= 500:
            raise self._unreachable(f"{answer.message or 'no words'} (HTTP {answer.status})")
        raise Refused(answer)

    def _unreachable(self, words: str) -> CliError:
        said = " ".join(words.split())
        return Unreachable(f"the cluster at {self._host} can't be reached: {said}", ExitCode.CLUSTER)


def _api(made: Any, name: str) -> Any:
    """Return a part of the API by the name of its class; what is not asked for costs no time."""
    from kubernetes import client

    return getattr(client, name)(made)


_CUSTOM = {"group": GROUP, "version": VERSION}


def _one(namespace: str, name: str) -> dict[str, str]:
    return {**_CUSTOM, "plural": training.PLURAL, "namespace": namespace, "name": name}
