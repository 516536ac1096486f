"""The documentation: links lead somewhere, examples are valid, and what the code can say is explained."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_api.base import API_VERSION
from nnunet_api.exit_codes import ExitCode
from nnunet_api.reasons import ConditionType, EventReason, FoldPhase, Reason
from nnunet_api.training import KIND, NnunetTrainingSpec

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")])
SAMPLES = sorted(ROOT.glob("manifests/samples/**/*.yaml"))
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(page: Path) -> list[str]:
    text = re.sub(r"`[^`]*`", "", _prose(page))
    return [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def test_there_are_pages_and_links() -> None:
    assert len(PAGES) > 15
    assert sum(len(_links(page)) for page in PAGES) > 40


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{_name(page)} links to {link}, which does not exist"
        assert target.is_relative_to(ROOT), f"{_name(page)} links to {link}, outside of the repository"
        if anchor:
            assert anchor in _anchors(target), f"{_name(page)} links to {link}, which has no such heading"


def test_the_table_of_commands_is_of_the_nnunet_that_is_installed() -> None:
    """Another release may have other commands and options: look through the table then."""
    lock = (ROOT / "trainer_image/requirements.lock").read_text(encoding="utf-8")
    found = re.search(r"^nnunetv2==(\d+\.\d+)\.", lock, re.MULTILINE)
    page = (ROOT / "docs/reference/nnunet-commands.md").read_text(encoding="utf-8")
    assert found and f"nnU-Net {found[1]} " in page


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    new = {ROOT / "docs" / "README.md"}
    while new:
        reached |= new
        linked = {(page.parent / link.partition("#")[0]).resolve() for page in new for link in _links(page)}
        new = {target for target in linked if target.suffix == ".md"} - reached
    missing = {_name(page) for page in ROOT.glob("docs/**/*.md")} - {_name(page) for page in reached}
    assert not missing, f"no link from docs/README.md leads to {missing}"


def _documents(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    blocks = (
        [text] if path.suffix == ".yaml" else [body for language, body in _FENCE.findall(text) if language == "yaml"]
    )
    return [document for block in blocks for document in yaml.safe_load_all(block)]


TRAININGS = [
    pytest.param(document, id=f"{_name(path)}-{number}")
    for path in [*PAGES, *SAMPLES]
    for number, document in enumerate(_documents(path))
    if isinstance(document, dict) and document.get("kind") == KIND
]


def test_there_are_examples() -> None:
    assert len(TRAININGS) > 8


@pytest.mark.parametrize("training", TRAININGS)
def test_examples_of_trainings_are_valid(training: dict[str, Any]) -> None:
    assert training["apiVersion"] == API_VERSION
    assert set(training) <= {"apiVersion", "kind", "metadata", "spec"}
    assert training["metadata"]["name"]
    NnunetTrainingSpec.model_validate(training["spec"])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_heading_to_link_to(reason: Reason) -> None:
    page = ROOT / "docs" / "reference" / "reasons.md"
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading.lower() for heading in headings].count(reason.lower()) == 1, "its anchor is its own"


@pytest.mark.parametrize("word", [str(member) for kind in (ConditionType, EventReason, FoldPhase) for member in kind])
def test_every_word_of_the_status_is_explained(word: str) -> None:
    page = ROOT / "docs" / "user-guide" / "following-progress.md"
    assert f"`{word}`" in page.read_text(encoding="utf-8"), f"{_name(page)} does not explain {word}"


@pytest.mark.parametrize("code", [code for code in ExitCode if code])
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    page = ROOT / "docs" / "user-guide" / "trainer.md"
    assert f"| {int(code)} |" in page.read_text(encoding="utf-8"), f"{_name(page)} does not explain {code!r}"


@pytest.mark.parametrize(
    "what", ["rule to policies", "stage", "kind of resource", "number that a fold reports", "reason"]
)
def test_what_is_added_often_is_added_in_four_places_at_most(what: str) -> None:
    """Of the product; its tests come on top."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split(f"## How to add a {what}\n", 1)[1].split("\n## ", 1)[0]
    assert 1 <= len(re.findall(r"^\d+\. ", section, re.MULTILINE)) <= 4
