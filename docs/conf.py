"""The documentation site: ``pip install ".[docs]" && python -m sphinx -W docs build/docs``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "extensions"))

_version = re.search(
    r'MEMOA_VERSION "([0-9.]+)"', (ROOT / "cpp/include/memoa/version.hpp").read_text("utf-8")
)
assert _version is not None

project = "memoa"
author = "The memoa developers"
project_copyright = author
version = release = _version.group(1)

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "breathe",
    "executed",
    "command_line",
]
exclude_patterns = ["extensions", "static"]
nitpicky = False
# Every header shows its part of the namespace memoa, which breathe declares anew each time.
suppress_warnings = ["config.cache", "duplicate_declaration.cpp"]

# Pages are Markdown that a code forge shows as well: its names of headings, its formulas.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
# Formulas of theory.md carry numbers of their own, \tag{3.1}.
myst_update_mathjax = False

autodoc_member_order = "bysource"
autodoc_mock_imports = ["flwr", "mpi4py"]  # for memoa.flower and memoa.mpi
autodoc_typehints = "none"  # types are in the docstrings
default_role = "py:obj"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

# Nothing comes over the network: MathJax is a file of the site, and its pictures need no fonts.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {
    "options": {"enableMenu": False},
    "svg": {"fontCache": "global", "mtextInheritFont": True},
}
mathjax4_config = mathjax3_config

html_theme = "furo"
html_title = "memoa"
html_static_path = ["static"]
html_css_files = ["memoa.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

breathe_default_project = "memoa"
breathe_show_include = False
breathe_show_define_initializer = True


def doxygen(app: Sphinx) -> None:
    """Read the C++ headers, for the pages under reference/."""
    program = shutil.which("doxygen")
    if program is None:
        raise ExtensionError(
            "doxygen, which reads the C++ headers, is not installed: expected a program of that "
            "name in PATH (Debian and Ubuntu: apt-get install doxygen; macOS: brew install doxygen)"
        )
    out = Path(app.doctreedir) / "doxygen"
    out.mkdir(parents=True, exist_ok=True)
    settings = (DOCS / "Doxyfile").read_text("utf-8") + f'\nOUTPUT_DIRECTORY = "{out}"\n'
    subprocess.run([program, "-"], input=settings, text=True, cwd=ROOT, check=True)
    app.config.breathe_projects = {"memoa": str(out / "xml")}


def mathjax(app: Sphinx) -> None:
    """Put MathJax among the files of the site."""
    to = Path(app.outdir) / "_static" / mathjax_path
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes((files("mathjax") / "static/mathjax/es5/tex-svg.js").read_bytes())


def links_out_of_docs(app: Sphinx, docname: str, source: list[str]) -> None:
    """Files of the repository that are not pages are offered as files."""
    up = re.escape("../" * (docname.count("/") + 1))
    source[0] = re.sub(rf"(?<!!)(\[[^]]*\]\()({up})", r"\1path:\2", source[0])


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", doxygen)
    app.connect("builder-inited", mathjax)
    app.connect("source-read", links_out_of_docs)
