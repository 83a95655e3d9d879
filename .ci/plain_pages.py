"""A hook of `make docs`: the Markdown of every page beside its HTML, as llms.txt links to it."""

import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig


def on_post_build(config: MkDocsConfig) -> None:
    """Copy the pages as they were written into the site."""
    source, site = Path(config.docs_dir), Path(config.site_dir)
    for page in source.rglob("*.md"):
        shutil.copyfile(page, site / page.relative_to(source))
