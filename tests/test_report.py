# SPDX-License-Identifier: MIT
"""The page that tinyvlm-pack --report writes, as text and in a real browser without a window."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tinyvlm import packit
from tinyvlm.words import lint, report, tvp
from tinyvlm.words.space import normalize

LABELS = ["cat", "kitten <small>", "bird & bee", "eagle", "school bus"]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DARK, LIGHT = 0, 1  # Chromium's preferredColorScheme


def make(labels, seed=0, dim=64, words=("wall",)):
    rng = np.random.default_rng(seed)
    vectors = normalize(rng.normal(size=(len(labels), 256)).astype(np.float32))
    if len(labels) > 1:
        vectors[1] = normalize(vectors[0] + 0.4 * vectors[1])
    found = lint.examine(labels, vectors, dim)
    prototypes = tvp.Prototypes(
        labels, tvp.quantize(vectors[:, :dim]), b"12345678", "base", "lexicon", threshold=0.25
    )
    size = len(tvp.to_bytes(prototypes))
    sizes = {d: size + len(labels) * (d - dim) for d in found.dims}
    facts = report.Facts("pets.tvp", prototypes, size, ["exact"] * len(labels), words, sizes)
    return report.page(facts, vectors, found), vectors, found


def cells(page, dim):
    """The numbers of the matrix at `dim`, rows of text."""
    block = page.split(f"class='scroll m{dim}'")[1].split("</table>")[0]
    return [re.findall(r"<td[^>]*>([-\d]*)", row) for row in block.split("<tr>")[2:]]


def test_the_matrix_shows_the_cosines():
    page, vectors, found = make(LABELS)
    for dim in found.dims:
        rows = normalize(vectors[:, :dim])
        want = np.rint(100 * rows @ rows.T).astype(int).astype(str)
        np.fill_diagonal(want, "")
        assert cells(page, dim) == want.tolist()


def test_labels_are_text_and_nothing_comes_from_elsewhere():
    page, _, _ = make([*LABELS, "<script>alert(1)</script>"], words=("a&b",))
    assert "<script" not in page and "http" not in page and "url(" not in page
    for label in LABELS:
        assert html.escape(label) in page
    assert "unknown if no score reaches 0.25, or if it is nearer to one of: a&amp;b." in page


def test_a_large_vocabulary_shows_the_labels_of_its_nearest_pairs():
    page, _, found = make([f"label {i}" for i in range(300)])
    assert f"({len(cells(page, 64))} labels of the nearest pairs)" in page
    assert 2 <= len(cells(page, 64)) <= report.LABELS
    assert len(page) < 400_000


def test_one_label():
    page, _, _ = make(["cat"])
    assert "One label: there is nothing to confuse it with." in page and "<svg" not in page


def test_the_command_writes_it(tmp_path, capsys):
    (tmp_path / "v.txt").write_text("cat\ndog\n")
    page = tmp_path / "report.html"
    assert packit.main(["--vocab", str(tmp_path / "v.txt"), "--report", str(page)]) == 0
    assert capsys.readouterr().out.endswith(f"report: {page}\n")
    assert page.read_text().startswith("<!doctype html>")


# -- in a browser -----------------------------------------------------------------------------

# Runs in the page: sizes, the order in which Tab reaches things, the least contrast of any text.
PROBE = """
<script>
const luminance = text => {
  const canvas = document.createElement('canvas').getContext('2d');
  canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => {
    v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b };
const behind = e => {
  for (; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (colour !== 'rgba(0, 0, 0, 0)') return colour }
  return 'white' };
let least = 99;
const check = () => document.querySelectorAll('h1, h2, p, td, th, label, figcaption').forEach(e => {
  if (!e.textContent || !e.offsetWidth) return;
  const [a, b] = [getComputedStyle(e).color, behind(e)].map(luminance);
  least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)) });
const shown = () => [...document.querySelectorAll('.pick .scroll')]
  .filter(e => e.offsetHeight).map(e => e.className.split(' ')[1]);
addEventListener('load', () => {
  const tables = [];
  document.querySelectorAll('input[type=radio]').forEach(radio => {
    radio.click(); tables.push(shown().join('+')); check() });
  const reached = [...document.querySelectorAll('input:checked, [tabindex="0"]')]
    .filter(e => e.offsetHeight || e.type === 'radio').length;
  const named = [...document.querySelectorAll('[role=region], svg, [role=radiogroup]')]
    .every(e => e.getAttribute('aria-label'));
  document.title = JSON.stringify({ tables: tables.join(' '), reached, named,
    least: Math.round(least * 100) / 100, background: getComputedStyle(document.body).backgroundColor,
    overflow: document.documentElement.scrollWidth - innerWidth,
    lines: document.querySelectorAll('polyline').length }) });
</script></html>"""  # noqa: E501


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """browse(page, scheme, width) -> what the probe found."""
    if BROWSER is None:
        pytest.skip("needs a browser: apt-get install chromium")
    folder = tmp_path_factory.mktemp("browser")

    def run(page, scheme=LIGHT, width=900):
        (folder / "page.html").write_text(page.replace("</html>", PROBE))
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder}/profile", f"--window-size={width},1200", "--dump-dom",
            f"--blink-settings=preferredColorScheme={scheme}", f"file://{folder}/page.html",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        title = re.search(r"<title>(.*?)</title>", done.stdout, re.S)
        assert title and title[1].startswith("{"), done.stderr[-2000:]
        return json.loads(html.unescape(title[1]))

    return run


@pytest.mark.parametrize(
    ("scheme", "background"), [(LIGHT, "rgb(255, 255, 255)"), (DARK, "rgb(22, 24, 27)")]
)
def test_in_a_browser(browse, scheme, background):
    found = browse(make(LABELS)[0], scheme)
    assert found["background"] == background
    assert found["tables"] == "m16 m32 m64 m128 m256"  # each radio button shows its own
    assert found["least"] >= 4.5  # WCAG AA
    assert found["reached"] == 1 + 1 + 2  # the radio group, the matrix, the two other tables
    assert found["named"] and found["lines"] == 5


def test_on_a_narrow_screen_only_tables_scroll(browse):
    labels = [f"a rather long label, number {i}" for i in range(30)]
    assert browse(make(labels)[0], width=520)["overflow"] <= 0
