"""What people state of a dataset: read, checked, kept in the manifest, shown by the card and croissant.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from tiny_datasets import Tiny, m3_tiny, xor_tiny

from symile_data.cards import refresh_card, state
from symile_data.cards.croissant.check import missing_fields
from symile_data.cards.publication import check_publication, read_statements, with_publication
from symile_data.cards.sharing import restriction_of
from symile_data.errors import SourceError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Manifest
from symile_data.format.publication import Publication
from symile_data.format.verify import verify

STATEMENTS = """
creators = ["Ada Lovelace", "org:A Lab {and Sons}"]
published = 2026-12-01
licence = "CC-BY-4.0"
summary = "Bits that somebody drew."

[rai]
dataUseCases = ["Tests", "Examples"]
dataLimitations = "Few rows"
hasSyntheticData = true

[[derived_from]]
name = "A generator"
url = "https://example.org/generator"
licence = "MIT"
"""


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])


@pytest.fixture
def mine(tmp_path: Path) -> Tiny:
    """A finished custom dataset with its card."""
    tiny = xor_tiny(tmp_path / "mine")
    identity = BuildFingerprint(dataset="mine", spec={}, sources={}, versions={"symile-data": "0.2.0"})
    manifests.write(tiny.directory, replace(tiny.manifest, identity=identity))
    refresh_card(tiny.directory)
    return tiny


def manifest_of(dataset: str) -> Manifest:
    return Manifest(
        identity=BuildFingerprint(dataset=dataset, spec={}, sources={}, versions={}), modalities=(), splits={}
    )


def test_a_file_of_statements_reaches_manifest_card_and_croissant(mine: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "statements.toml"
    path.write_text(STATEMENTS, encoding="utf-8")
    refresh_card(mine.directory, read_statements(path))
    kept = manifests.read(mine.directory).publication
    assert kept.creators == ("Ada Lovelace", "org:A Lab {and Sons}") and kept.published == "2026-12-01"
    text = (mine.directory / "README.md").read_text(encoding="utf-8")
    assert "Bits that somebody drew." in text
    assert "The whole dataset: **CC-BY-4.0**." in text
    assert "| Source | A generator (https://example.org/generator) | MIT |" in text
    assert "- **Meant for**: Tests. Examples." in text and "- Few rows\n" in text
    assert "  author = {Ada Lovelace and {A Lab and Sons}},\n  year   = {2026},\n" in text
    assert DatasetCard.load(mine.directory / "README.md").data.to_dict()["license"] == "cc-by-4.0"
    described = json.loads((mine.directory / "croissant.json").read_text(encoding="utf-8"))
    assert described["creator"] == [
        {"@type": "sc:Person", "name": "Ada Lovelace"},
        {"@type": "sc:Organization", "name": "A Lab {and Sons}"},
    ]
    assert described["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    assert described["rai:hasSyntheticData"] is True and described["rai:dataUseCases"] == ["Tests", "Examples"]
    assert described["prov:wasDerivedFrom"] == [
        {
            "@type": "prov:Entity",
            "prov:label": "Source: A generator",
            "license": "MIT",
            "url": "https://example.org/generator",
        }
    ]
    assert list(verify(mine.directory)) == []


def test_a_later_statement_takes_the_place_of_its_own_kind_only(mine: Tiny) -> None:
    state(mine.directory, Publication(creators=("Ada",), rai={"dataBiases": ["a"], "hasSyntheticData": False}))
    state(mine.directory, Publication(published="2026-12-02", rai={"dataBiases": ["b"]}))
    assert manifests.read(mine.directory).publication == Publication(
        creators=("Ada",), published="2026-12-02", rai={"dataBiases": ["b"], "hasSyntheticData": False}
    )


def test_what_is_stated_already_changes_no_file(mine: Tiny) -> None:
    stated = Publication(creators=("Ada",), url="https://example.org/mine")
    state(mine.directory, stated)
    before = {path: path.read_bytes() for path in mine.directory.rglob("*") if path.is_file()}
    text = before[mine.directory / "README.md"].decode()
    assert "author = {Ada}" in text and "url    = {https://example.org/mine}" in text  # also without a new card
    assert list(verify(mine.directory)) == []
    state(mine.directory, stated)
    assert {path: path.read_bytes() for path in mine.directory.rglob("*") if path.is_file()} == before
    refresh_card(mine.directory)
    assert (mine.directory / "README.md").read_bytes() == before[mine.directory / "README.md"]


@pytest.mark.parametrize("tiny_of", [m3_tiny, xor_tiny])
def test_a_bundled_dataset_is_cited_behind_its_paper_once_it_is_published(
    tiny_of: Callable[[Path], Tiny], tmp_path: Path
) -> None:
    tiny = tiny_of(tmp_path / "tiny")
    manifests.write(tiny.directory, tiny.manifest)
    refresh_card(tiny.directory)
    card = tiny.directory / "README.md"
    unpublished = card.read_text(encoding="utf-8")
    assert "@misc" not in unpublished

    state(tiny.directory, Publication(creators=("Ada",), published="2026-12-02"))
    published = card.read_text(encoding="utf-8")
    name = tiny.manifest.identity.dataset
    assert f"\n}}\n\n@misc{{{name},\n  title  = " in published
    assert published.count("  author = {Ada},\n  year   = {2026},\n") == 1
    assert "saporta2024symile" in published.partition("@misc")[0].partition("\n## Citation\n")[2]
    described = json.loads((tiny.directory / "croissant.json").read_text(encoding="utf-8"))
    assert described["citeAs"].startswith("@inproceedings{saporta2024symile")
    assert DatasetCard(published).data.to_dict() == DatasetCard(unpublished).data.to_dict()
    refresh_card(tiny.directory)
    assert card.read_text(encoding="utf-8") == published

    state(tiny.directory, Publication(citation="@misc{ada, title = {Mine}}"))  # an entry of one's own stands for it
    assert "```bibtex\n@misc{ada, title = {Mine}}\n\n@inproceedings{sap" in card.read_text(encoding="utf-8")
    assert "author = {Ada}" not in card.read_text(encoding="utf-8")


def test_a_card_without_citations_gets_them(mine: Tiny) -> None:
    card = mine.directory / "README.md"
    card.write_text("# Mine\n", encoding="utf-8")
    state(mine.directory, Publication(creators=("Ada",)))
    assert card.read_text(encoding="utf-8").startswith("# Mine\n\n## Citation\n\n```bibtex\n@misc{mine,\n")


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (Publication(creators=("",)), "a creator is a name in one line; got ''"),
        (Publication(creators=("org: ",)), "a creator is a name in one line"),
        (Publication(creators=("a\u202eb",)), "a creator is a name in one line"),
        (Publication(published="1 December"), "the date of publication is YYYY-MM-DD; got '1 December'"),
        (Publication(published="20261201"), "the date of publication is YYYY-MM-DD"),
        (Publication(url="example.org"), "the page of a dataset is a web address"),
        (Publication(licence="do what you want"), "a licence is an SPDX identifier"),
        (Publication(citation="Lovelace 2026"), "a citation is a BibTeX entry"),
        (Publication(citation="@misc{a,\n```\n}"), "a citation is a BibTeX entry"),
        (Publication(derived_from=({"url": "https://example.org"},)), "a source has a name"),
        (Publication(derived_from=({"name": "a", "hash": "1"},)), "a source has a name, and perhaps url and licence"),
        (Publication(rai={"dataBias": ["a"]}), "this is no term of the Croissant RAI vocabulary; got dataBias"),
        (Publication(rai={"dataBiases": [1]}), "dataBiases is a list of texts"),
        (Publication(rai={"dataBiases": []}), "dataBiases is a list of texts"),
        (Publication(rai={"dataSocialImpact": ["a"]}), "dataSocialImpact is a text"),
        (Publication(rai={"hasSyntheticData": "yes"}), "hasSyntheticData is true or false"),
    ],
)
def test_statements_that_no_card_can_show_are_refused(stated: Publication, told: str) -> None:
    with pytest.raises(UsageError, match="^" + told.replace("(", r"\(")):
        check_publication(replace(manifest_of("mine"), publication=stated))


def test_what_follows_from_the_sources_cannot_be_stated(tmp_path: Path) -> None:
    patients = manifest_of("symile-mimic")
    with pytest.raises(
        UsageError, match=r"statements that follow from the sources of symile-mimic cannot be given; got licence. Leave"
    ):
        with_publication(patients, Publication(licence="CC0-1.0"))
    named = with_publication(patients, Publication(creators=("Ada",)))
    restriction = restriction_of(named)
    assert restriction is not None and restriction.kind == "credentialed"


def test_the_file_on_the_page_states_everything(mine: Tiny, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "cards.md").read_text(encoding="utf-8")
    path = tmp_path / "statements.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    refresh_card(mine.directory, read_statements(path))
    assert missing_fields(mine.directory) == []
    text = (mine.directory / "README.md").read_text(encoding="utf-8")
    assert "@article{lovelace2026" in text and "- Machines of one factory only" in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("creators = 3", "creators is int, not a list"),
        ("creator = ['a']", "unknown field ("),
        ("licens = 'x'", "got licens. Perhaps licence is meant."),
        ("[rai]\n[size]", "got size. Choose among creators, published"),
        ("[rai", "Expected ']'"),
    ],
)
def test_a_file_that_is_no_statement_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(SourceError) as error:
        read_statements(path)
    assert str(path) in str(error.value) and told in str(error.value)
    with pytest.raises(SourceError, match="the statements cannot be read"):
        read_statements(tmp_path / "none.toml")
