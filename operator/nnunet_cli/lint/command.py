"""`kubectl nnunet lint`: what schema, policies and API server will say to a file."""

import difflib
from datetime import UTC, datetime
from typing import Annotated

import typer

from nnunet_api.base import GROUP
from nnunet_api.comparison.model import KIND as COMPARISON
from nnunet_api.policy.model import KIND as POLICY
from nnunet_api.test_set import KIND as TEST_SET
from nnunet_api.training import KIND
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster, Unreachable
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.kubeconfig import NoKubeconfig
from nnunet_cli.lint.checks import Finding, Known, Level, Result, check
from nnunet_cli.lint.comparisons import check_comparison
from nnunet_cli.lint.documents import STDIN, Document, read_all
from nnunet_cli.lint.findings import Report, show
from nnunet_cli.lint.references import References
from nnunet_cli.lint.surroundings import Offline, Online, Surroundings, read_policies
from nnunet_cli.options import Output, TextOutput, asks_cluster

_CHECKS = {KIND: check, COMPARISON: check_comparison}
_KINDS = (*_CHECKS, POLICY, TEST_SET)
_ALIKE, _ALL_BUT_THE_SAME = 0.5, 0.95
"""How much a kind has to have of one of these to be meant for it: from half of its letters to all but one."""


@asks_cluster
def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files or folders; - for the standard input.")],
    policies: Annotated[
        list[str] | None,
        typer.Option("--policies", metavar="FILE", help="Offline: policies from a file or folder; may be repeated."),
    ] = None,
    namespace_labels: Annotated[
        list[str] | None,
        typer.Option("--namespace-labels", metavar="KEY=VALUE", help="With --policies: labels of the namespace."),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no cluster: schema and advice alone.")] = False,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace of trainings that give none.")
    ] = None,
    output: Output = TextOutput.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings and advice count as failures.")] = False,
    *,
    to: Connection,
) -> None:
    """Check trainings and comparisons before they are applied: schema, policies, advice.

    By default the policies and the labels of the namespace come from the cluster, and the API server is asked what it
    would say (a dry run: nothing is created or changed). Folders are searched with all folders in them.

    \b
    Examples:
      kubectl nnunet lint training.yaml
      kubectl nnunet lint --offline --strict trainings/
      kubectl nnunet lint training.yaml --policies policies/ --namespace-labels nnunet.dev/clinical=true
      helm template my-chart | kubectl nnunet lint - -n clinic -o json

    \b
    Exit codes:
      0  nothing stands in the way; there may be warnings and advice
      1  something is denied or invalid; with --strict also warned or advised
      2  wrong usage, a file can't be read, or there is nothing to check in what was given
      3  the cluster can't be reached, or tells you nothing by which it could be judged
    """
    documents = read_all(files)
    references: References | None = None
    if policies or offline:
        surroundings: Surroundings = _offline(policies or [], namespace_labels or [], namespace)
    elif namespace_labels:
        raise typer.BadParameter("goes with --policies: a cluster knows its labels", param_hint="--namespace-labels")
    else:
        surroundings, references = _online(to, namespace)
    try:
        report = _report(documents, surroundings, references)
    except Unreachable as error:
        raise _offline_helps(error) from None
    show(report, output)
    if not report.results:
        # Most likely a wrong path: in CI nobody would notice that nothing is checked.
        raise CliError(
            f"there is no NnunetTraining or NnunetComparison in {', '.join(map(_named, files))}", ExitCode.USAGE
        )
    if any(result.fails(strict) for result in report.results):
        raise typer.Exit(ExitCode.FOUND)
    if any(result.outcome == Level.UNKNOWN for result in report.results):
        raise typer.Exit(ExitCode.CLUSTER)


def _report(documents: list[Document], surroundings: Surroundings, references: References | None) -> Report:
    report = Report()
    for document in documents:
        problem = document.problem or _kind_problem(document)
        if problem:
            finding = Finding(Level.INVALID, problem, remedy="correct the file", source="schema")
            report.results.append(Result(document, findings=[finding]))
        elif document.kind in _CHECKS:
            report.results.append(_check(document, surroundings, references))
        else:
            report.skipped.append(document)
    _tell_twins(report.results)
    report.notes += surroundings.notes
    report.notes += dict.fromkeys(result.planner_advice for result in report.results if result.planner_advice)
    return report


def _tell_twins(results: list[Result]) -> None:
    """Add to each object that says something else than one before it of the same name that it does.

    Applied after it, it would be a change of that one, which is refused, or taken without a word.
    """
    firsts: dict[tuple[str, str, str], Document] = {}
    for result in results:
        document = result.document
        if not result.name or document.kind not in _CHECKS:
            continue
        first = firsts.setdefault((document.kind, result.namespace, result.name), document)
        if first.body != document.body:
            problem = f"metadata.name is {result.name}, as in {first.place}, which says something else"
            remedy = "give each a name of its own, or remove one"
            result.findings.append(Finding(Level.INVALID, problem, "metadata.name", remedy=remedy, source="schema"))


def _kind_problem(document: Document) -> str:
    """Return what is wrong with a kind; nothing where it is one of ours, or clearly of somebody else's."""
    if not document.kind:
        return "kind is not set, must name the kind of the object"
    ours = str(document.body.get("apiVersion") or "").startswith(f"{GROUP}/")
    kinds = {kind.casefold(): kind for kind in _KINDS}
    # In another group it may well be a kind of somebody else's, as NnunetPipeline of a platform.
    cutoff = _ALIKE if ours else _ALL_BUT_THE_SAME
    close = difflib.get_close_matches(document.kind.casefold(), kinds, n=1, cutoff=cutoff)
    if document.kind in _KINDS or not (ours or close):
        return ""
    hint = f"did you mean {kinds[close[0]]}?" if close else f"{GROUP} has {', '.join(_KINDS)}"
    return f"kind is {document.kind!r}, which {GROUP} does not have: {hint}"


def _named(file: str) -> str:
    return "the standard input" if file == STDIN else file


def _check(document: Document, surroundings: Surroundings, references: References | None) -> Result:
    metadata = document.body.get("metadata")
    own = metadata.get("namespace") if isinstance(metadata, dict) else None
    namespace = own if isinstance(own, str) and own else surroundings.namespace
    result = _CHECKS[document.kind](document, namespace, surroundings.known(namespace), datetime.now(UTC))
    result.findings += surroundings.ask(namespace, document.body, result.said)
    if references and document.kind == KIND:
        result.findings += references.missing(document.body, namespace)
    return result


def _online(to: Connection, namespace: str | None) -> tuple[Online, References]:
    try:
        cluster = Cluster(to)
        return Online(cluster, namespace), References(cluster)
    except (NoKubeconfig, Unreachable) as error:
        raise _offline_helps(error) from None


def _offline_helps(error: CliError) -> CliError:
    return CliError(f"{error}, or work offline, by --offline or --policies", error.exit_code)


def _offline(files: list[str], labels: list[str], namespace: str | None) -> Offline:
    readable, unreadable = read_policies(read_all(files))
    if files and not readable and not unreadable:
        raise CliError(f"{', '.join(files)}: there is no NnunetTrainingPolicy in it", ExitCode.USAGE)
    pairs = [label.partition("=") for label in labels]
    if wrong := [key for key, equals, _ in pairs if not key or not equals]:
        raise typer.BadParameter(f"{wrong[0]!r} is not of the form KEY=VALUE", param_hint="--namespace-labels")
    known = Known(readable, unreadable, {key: value for key, _, value in pairs})
    return Offline(namespace or "default", known, with_policies=bool(files))
