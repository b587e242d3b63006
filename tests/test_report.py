"""The report: complete, self-contained, safe against what users write, and honest about partial runs."""

import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure

from flowsim import plot, report
from flowsim.report import claims as words
from flowsim.store import Meta, StoreError, Summary

EVIL = "<script>alert('x')</script>\"&'"
SUMMARY = {
    "schema_version": 1,
    "name": "figure1",
    "status": "done",
    "events": {
        "phase1_end": {"time": 0.219935536852, "times": [0.219935536852, 3.0], "uncertainty": 1e-11, "loss": 0.139},
        "mlp_aligned": {"time": None, "times": []},
    },
    "final": {"time": 300.0, "loss": 3.78e-05, "min_margin": 8.5},
    "certificate": {"relative_error": 3e-10, "energy_identity": 1e-11, "invariants": {"key_query": 1.25e-15}},
    "solver": {
        "kind": "dopri8",
        "steps": 58,
        "rejected": 1,
        "vector_field_evaluations": 755,
        "reduction": "rotation",
        "seconds_compile": 2.1,
        "seconds_run": 0.1,
    },
}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Checks that elements nest, and collects what there is."""

    def __init__(self, text):
        HTMLParser.__init__(self, convert_charrefs=True)
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def png():
    figure = Figure(figsize=(2, 1), dpi=100)
    figure.subplots().plot([1, 2])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def written(summary=SUMMARY, figures=(), experiment="name: figure1\n", resolved="precision: float64\n", meta=None):
    return report.page(Summary.of(summary), figures, experiment, resolved, {} if meta is None else meta)


def test_page_holds_everything(png):
    figures = [
        report.Illustration("loss", "The loss.", png),
        report.Illustration("balance", skipped_reason="the trajectory has no gradient_sum"),
    ]
    html = written(figures=figures, meta={"versions": {"jax": "0.10.2"}, "seeds": [0, 1]})
    page = Reader(html)
    for needed in (
        "figure1",
        "Phase 1 ended at t = 0.219936",
        "0.21993553685 ± 1e-11",  # as many figures as the uncertainty allows
        "never",
        "within 3e-10 of the exact flow's",
        "1.2e-15",
        "dopri8 took 58 steps (1 more were rejected) and 755 evaluations",
        "Figure 1, loss. The loss.",
        "Not drawn: balance, because the trajectory has no gradient_sum.",
        "name: figure1",
        "precision: float64",
        "versions.jax 0.10.2",
        "seeds 0, 1",
    ):
        assert needed in page.text, needed
    assert "partial" not in page.text
    assert html == written(figures=figures, meta={"versions": {"jax": "0.10.2"}, "seeds": [0, 1]})


def test_page_is_self_contained(png):
    page = Reader(written(figures=[report.Illustration("loss", "c", png)]))
    sources = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert "url(" not in written()
    assert "@import" not in written()
    assert ("width", "200") in page.attributes
    assert any("default-src 'none'" in value for _, value in page.attributes)


def test_no_text_of_the_users_is_markup(png):
    events = {
        EVIL: {"time": 1.0, "times": [1.0], "description": EVIL, EVIL: 2.0},
        "phase1_end": {"time": None, "times": [], "fired": 0, "quantiles": {EVIL: 1.0}},
    }
    run = {
        "optimizer": EVIL, "against": EVIL, "learning_rate": 0.1, "steps": 1, "time": 1.0, "largest_distance_time": 1.0,
        "tube": 0.1, "events": {EVIL: {"flow": 1.0, "descent": 1.0, "shift": 0.5}},
    }  # fmt: skip
    order = {"optimizer": EVIL, "against": EVIL, "quantity": EVIL, "reason": EVIL}
    summary = {
        **SUMMARY,
        "name": EVIL,
        "status": EVIL,
        "message": EVIL,
        "remedy": EVIL,
        "events": events,
        "certificate": {"method": EVIL, "relative_error": 1.0, "invariants": {EVIL: 1.0}, "warnings": [EVIL]},
        "solver": {"kind": EVIL, "reduction": EVIL, "switches": [{"time": 1.0, "kind": EVIL}]},
        "final": {"time": 1.0, EVIL: 2.0},
        "descent": {"runs": [run], "orders": [order]},
    }
    figures = [report.Illustration(EVIL, EVIL, png), report.Illustration(EVIL, skipped_reason=EVIL)]
    html = report.page(Summary.of(summary), figures, EVIL, EVIL, {EVIL: {EVIL: EVIL}})
    page = Reader(html)
    assert "script" not in page.tags
    assert "<script" not in html
    assert page.text.count("alert(") > 20
    assert not [name for name, _ in page.attributes if name.startswith("on")]


@pytest.mark.parametrize(
    ("status", "partial"),
    [
        ("done", False),
        ("event", False),
        ("interrupted", True),
        ("step_limit", True),
        ("sliding", True),
        ("blow_up", True),
        ("strange", True),
    ],
)
def test_partial_results_say_so(status, partial):
    page = Reader(written({**SUMMARY, "status": status, "message": "after 7 steps", "remedy": "raise max_steps"}))
    assert ("This is a partial result." in page.text) == partial
    assert ("After 7 steps. Raise max_steps." in page.text) == partial
    assert ("terminal event" in page.text) == (status == "event")
    assert ("(status: " in page.text) == (status == "strange")


def test_page_of_almost_nothing():
    page = Reader(report.page(Summary(), [], "", "", {}))
    assert "This is a partial result. There is no summary" in page.text
    assert "Events" not in page.text


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (None, "No certificate was computed"),
        ({"relative_error": 0.2}, "too much to trust the details"),
        ({"relative_error": None}, "gives no bound on the numerical error"),
        ({"relative_error": 1e-3}, "within 0.001 of the exact flow's, as a part of the distance that they travelled."),
    ],
)
def test_certificate_is_put_in_words(certificate, said):
    assert said in Reader(written({**SUMMARY, "certificate": certificate})).text


def test_phase1_that_never_ended():
    events = {"phase1_end": {"time": None, "times": []}}
    page = Reader(written({**SUMMARY, "events": events}))
    assert "Phase 1 did not end by t = 300" in page.text
    assert "not reached" in page.text


def test_summary_text_is_aligned_and_complete(tmp_path):
    figures = [
        plot.FigureRecord("loss", tmp_path / "loss.png", tmp_path / "loss.pdf"),
        plot.FigureRecord("balance", skipped_reason="no groups"),
        plot.FigureRecord("attention", skipped_reason="no groups"),
    ]
    first, *lines = report.summary_text(Summary.of(SUMMARY), directory=tmp_path, figures=figures).split("\n")
    assert first == "figure1"
    values = {line.split()[0]: line for line in lines}
    columns = {
        len(label) + 2 + len(line[len(label) + 2 :]) - len(line[len(label) + 2 :].lstrip())
        for label, line in values.items()
    }
    assert len(columns) == 1
    assert values["phase1_end"].endswith("t = 0.21993553685 ± 1e-11  (loss 0.139)  and 1 later")
    assert values["mlp_aligned"].endswith("never happened")
    assert "within 3e-10 of the exact flow" in values["certificate"]
    assert "dopri8, 58 steps, 1 rejected, 755 gradients, reduction rotation" in values["solver"]
    assert values["figures"].endswith(f"{tmp_path / 'figures'}: loss; balance, attention skipped: no groups")
    assert values["report"].endswith(str(tmp_path / "report.html"))


def test_summary_text_cannot_repaint_the_terminal():
    text = report.summary_text(Summary.of({**SUMMARY, "name": "a\x1b[2Jb\nc", "status": "interrupted"}))
    assert "\x1b" not in text
    assert text.split("\n")[0] == "a [2Jb c"
    assert "interrupted: The run was interrupted." in text


@pytest.fixture
def folder(tmp_path):
    time = np.concatenate([[0.0], np.geomspace(1e-3, 10, 20)])
    flow = xarray.Dataset({"loss": ("time", np.exp(-time))}, coords={"time": time})
    flow.to_netcdf(tmp_path / "trajectory.nc", engine="h5netcdf")
    (tmp_path / "descent").mkdir()
    descent = flow.isel(time=slice(5, None)).assign_attrs(label="sgd & co")
    descent.to_netcdf(tmp_path / "descent" / "0.nc", engine="h5netcdf")
    (tmp_path / "experiment.yaml").write_text("name: own  # ünï\n", "utf-8")
    (tmp_path / "resolved.yaml").write_text("name: own\nseed: 0\n", "utf-8")
    (tmp_path / "summary.json").write_text(json.dumps({**SUMMARY, "name": "own"}), "utf-8")
    (tmp_path / "meta.json").write_text(json.dumps({"figures": ["loss", "attention"], "device": "cpu"}), "utf-8")
    return tmp_path


@pytest.mark.slow
def test_rebuild_from_the_folder_alone(folder):
    done = report.rebuild(folder)
    page = Reader(done.report.read_text("utf-8"))
    assert [(f.name, f.skipped_reason is None) for f in done.figures] == [("loss", True), ("attention", False)]
    assert (folder / "figures" / "loss.pdf").is_file()
    assert "sgd & co" in page.text
    assert "ünï" in page.text
    assert "Not drawn: attention, because the trajectory has no attention_score" in page.text
    assert "device cpu" in page.text
    first = done.report.read_bytes()
    assert report.rebuild(folder).report.read_bytes() == first


def test_rebuild_of_a_partial_run(folder):
    (folder / "summary.json").unlink()
    (folder / "trajectory.nc").unlink()
    (folder / "meta.json").unlink()
    done = report.rebuild(folder)
    assert done.summary.status == "incomplete"
    assert {f.name for f in done.figures} == {"loss", "attention", "alignment", "balance"}
    assert all("no trajectory" in f.skipped_reason for f in done.figures)
    assert "This is a partial result." in Reader(done.report.read_text("utf-8")).text

    so_far = xarray.Dataset({"loss": ("time", [3.0, 2.0, 1.0])}, coords={"time": [0.0, 1.0, 2.0]})
    figures = {f.name: f for f in report.rebuild(folder, dataset=so_far).figures}
    assert figures["loss"].png.is_file()


def test_rebuild_refuses_what_is_no_run(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        report.rebuild(empty)
    assert not list(empty.iterdir())
    (folder / "summary.json").write_text("{", "utf-8")
    with pytest.raises(StoreError, match=r"summary\.json: cannot be read as JSON"):
        report.rebuild(folder)
    (folder / "summary.json").write_text("[]", "utf-8")
    with pytest.raises(StoreError, match=r"summary\.json: is not a run's summary"):
        report.rebuild(folder)
    (folder / "summary.json").unlink()
    (folder / "trajectory.nc").write_bytes(b"no netCDF")
    with pytest.raises(StoreError, match="cannot be read as netCDF"):
        report.rebuild(folder)


def test_nothing_is_said_of_phases_that_nobody_watched(dataset):
    """Of a linear network with an event of its own, say; and the page lists no record that programs read."""
    for name in ("loss", "balance", "attention", "alignment"):
        watched = plot.Drawing(dataset, {"phase1_end": {"time": None}})
        assert "phase 1 was not reached" in plot.FIGURES[name].caption(watched)
        other = plot.Drawing(dataset, {"grown": {"time": 0.5}})
        assert "border between" not in plot.FIGURES[name].caption(other)
    story = Reader(written({**SUMMARY, "events": {"grown": {"time": 0.5, "times": [0.5]}}})).text
    assert "hase 1" not in story
    meta = Meta(name="x", variables={"loss": {"dims": ["seed"]}}, coordinates={"mode": [1, 2]}, device={"kind": "cpu"})
    assert set(meta.shown()) == {"name", "device"}


def test_medians_are_said_to_be_medians():
    median = {"time": 0.5, "times": [0.5], "fired": 3, "quantiles": {"0.5": 0.5}}
    summary = Summary.of({**SUMMARY, "seeds": [0, 1, 2, 3], "failed_seeds": [2], "events": {"half": median}})
    lines = report.summary_text(summary).split("\n")
    assert [line.split(None, 1)[1] for line in lines if line.split()[0] == "half"] == [
        "median t = 0.5, happened in 3 of 4 seeds"
    ]
    assert any(line.strip().startswith("final, medians") for line in lines)
    page = Reader(report.page(summary, [], "", "", {})).text
    assert "first time t, median over the seeds" in page
    assert "State at the end, medians over the seeds" in page
    assert "the median training loss is" in page


def test_a_share_says_of_how_many_and_of_what():
    runs = {"holds": 2, "fails": 1, "undecided": 4}
    claim = {"runs": runs, "fraction": 2 / 3, "interval": [0.2, 0.9]}
    assert words.share(claim) == "67 % (20 … 90 %) of 3"
    assert words.section({"claims": []}, {}).tables[0].head[2] == "holds in"


def test_the_account_is_that_of_the_wait():
    """Every stage that took time, and the wait in all; a stage of no time is not listed."""
    account = {"loading": 2.0, "compiling": 4.7, "integration": 0.1, "certificate": 6.4, "descent": 0.0, "total": 17.5}
    lines = report.summary_text(Summary.of(SUMMARY), account=account).split("\n")
    (line,) = [line for line in lines if line.split()[0] == "time"]
    assert line.split(None, 1)[1] == (
        "17.5 s in all: loading 2.0 s, compiling 4.7 s, integration 0.1 s, certificate 6.4 s"
    )
