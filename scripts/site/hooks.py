"""What the site has besides the pages of docs/: the README as its start, the reference, the sources that pages name.

Links are written for a reader of the repository; here they are turned into links of the site.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))  # mkdocs imports a hook by its path alone

import reference  # noqa: E402

OUTSIDE = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(?P<head>\]\()(?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?(?P<tail>\))")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for name, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text(encoding="utf-8")))
    files.append(File.generated(config, "reference/commands.md", content=reference.commands()))
    files.append(File.generated(config, "reference/groups.md", content=reference.groups()))
    named = {path for file in list(files.documentation_pages()) for path in _sources(file)}
    for path in sorted(named):
        files.append(File.generated(config, f"source/{path}.md", content=_source(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of the repository into those of the site."""
    here = page.file.src_uri

    def turned(match: re.Match[str]) -> str:
        path = _path(here, match["target"])
        uri = _uri(path)
        link = posixpath.relpath(uri, posixpath.dirname(here) or ".")
        return f"{match['head']}{link}{match['anchor'] or ''}{match['tail']}"

    return markdown if here.startswith(("source/", "reference/")) else _outside_fences(markdown, turned)


def _outside_fences(markdown: str, turned: object) -> str:
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(turned, part) for part in parts)  # type: ignore[call-overload]


def _path(here: str, target: str) -> str:
    """The path in the repository that a link of a page means."""
    origin = next((name for name, uri in OUTSIDE.items() if uri == here), f"docs/{here}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def _uri(path: str) -> str:
    """The place in the site of a path in the repository."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.md"


def _sources(file: File) -> Iterator[str]:
    """The files outside docs/ that a page links to."""
    if file.src_uri.startswith("reference/"):
        return
    for match in LINK.finditer(file.content_string):
        path = _path(file.src_uri, match["target"])
        if _uri(path).startswith("source/"):
            yield path


def _source(path: str) -> str:
    """A page that shows a file, or the names in a folder."""
    place = ROOT / path
    if place.is_dir():
        return "\n".join([f"# {path}", "", *(f"- `{each.name}`" for each in sorted(place.iterdir()) if each.is_file())])
    text = place.read_text(encoding="utf-8").rstrip()
    return f"# {path}\n\n~~~~{LANGUAGES.get(place.suffix, 'text')}\n{text}\n~~~~\n"
