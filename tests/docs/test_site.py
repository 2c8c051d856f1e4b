"""The documentation as a site: it builds without a warning, holds every page and every option, and asks no network."""

import os
import re
import subprocess
import sys

import pytest
from pages import PAGES, ROOT, name_of

from genkit.config.hydra.catalog import Catalog, conf_dir, load_yaml
from genkit.config.hydra.words import Words

pytest.importorskip("mkdocs", reason="the site needs genkit-toolkit[docs]")
ELSEWHERE = {"README.md": "index", "CONTRIBUTING.md": "contributing"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; its configuration is strict: a link that leads nowhere or a page left out is an error."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(place),
               "--config-file", str(ROOT / "scripts/site/mkdocs.yml")]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=place, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
    return place


@pytest.mark.slow
def test_every_page_is_there_and_in_the_menu(site):
    menu = (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        place = f"{ELSEWHERE.get(name_of(page)) or name_of(page).removeprefix('docs/').removesuffix('.md')}.html"
        assert (site / place).is_file()
        assert f'href="{place}"' in menu


@pytest.mark.slow
def test_the_reference_has_every_option_and_its_keys(site):
    text = (site / "reference/groups.html").read_text(encoding="utf-8")
    catalog = Catalog.of(Words())
    for group in catalog.groups - {"experiment"}:
        for option in catalog.options(group):
            assert f"{group}={option}<" in text
    text = text[text.index('id="posteriorsplit_gibbs"') :]
    row = re.search(r"<td><code>particles</code></td>\s*<td><code>(.*?)</code></td>\s*<td>(.*?)</td>", text)
    assert row is not None
    assert row[1] == str(load_yaml(conf_dir() / "posterior/split_gibbs.yaml")["particles"])
    assert row[2].startswith("For each draw")


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site):
    for page in (site / "index.html", site / "reference/commands.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.(https?:[^\"\' >]+)", page.read_text("utf-8")
        )
        assert loaded == []
