"""The interactive page: what it carries is the data, and nothing of a user's text can become HTML or script."""

import base64
import gzip
import hashlib
import html.parser
import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import typer
import xarray

from flowsim.cli.explore import explore as command
from flowsim.explore import ExploreError, explore, write
from flowsim.explore.thin import kept

from .explore_data import HOSTILE, PROBE, sweep, trajectory, write_run, write_sweep

pytest.importorskip("plotly")


class Elements(html.parser.HTMLParser):
    """Start tags with their attributes, and the text inside scripts and styles."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts, self.open = [], [], None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = (tag, dict(attrs))

    def handle_data(self, data):
        if self.open and self.open[0] in ("script", "style"):
            self.texts.append((*self.open, data))

    def handle_endtag(self, tag):
        self.open = None


def parsed(path):
    page = Elements()
    page.feed(path.read_text("utf-8"))
    return page


def carried(path):
    """The document of a page, and a function that looks numbers up."""
    (text,) = (text for tag, attrs, text in parsed(path).texts if attrs.get("id") == "data")
    content = gzip.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<Q", content[:8])
    numbers = np.frombuffer(content, "<f8", offset=8 + 8 * -(-length // 8))
    return json.loads(content[8 : 8 + length]), lambda place: numbers[place[0] : place[0] + place[1]]


@pytest.fixture(scope="module", name="page")
def _page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explore")
    runs = [
        write_run(folder / name, shift) for name, shift in (("a", 1.0), ("b", 2.0), (HOSTILE.replace("/", "∕"), 3.0))
    ]
    return explore([*runs, write_sweep(folder / "swept")]).path


def test_numbers_are_those_of_the_files(page):
    document, numbers = carried(page)
    assert page.name == "explore.html"
    assert page.stat().st_size < 6_000_000
    for record, shift in zip(document["runs"], (1.0, 2.0, 3.0), strict=True):
        data = trajectory(shift)
        assert set(record["series"]) == {"loss", "attention_score", "attention_map", "singular_values", PROBE}
        for name, one in record["series"].items():
            assert np.array_equal(numbers(one["times"]), data["time"].values)
            assert np.array_equal(numbers(one["values"]), data[name].values.ravel())
            assert [dim["name"] for dim in one["dims"]] == list(data[name].dims[1:])
        assert np.array_equal(numbers(record["series"]["loss"]["error"]), data["loss_error"].values)
        first, never = record["events"]
        assert (first["time"], first["times"], first["uncertainty"]) == (7 / shift, [7 / shift, 21 / shift], 1e-9)
        assert never["time"] is None
        (descent,) = record["descents"]
        assert np.array_equal(numbers(descent["series"]["loss"]["values"]), 1.01 * data["loss"].values[::3])


def test_sweep_is_carried_whole(page):
    (record,) = carried(page)[0]["sweeps"]
    numbers, data = carried(page)[1], sweep()
    assert [axis["name"] for axis in record["axes"]] == ["model.width", "init.sigma0", "seed"]
    values = {one["name"]: numbers(one["place"]) for one in record["values"]}
    assert np.array_equal(values["final_loss"], data["final_loss"].values.ravel(), equal_nan=True)
    half = data["event_time"].sel(event="half").values.ravel()
    assert np.array_equal(values["event_time: half"], half, equal_nan=True)
    assert record["folders"][5] == "swept/members/m05"
    assert record["status"][-1] == "failed"
    assert np.array_equal(numbers(record["curves"][0]["place"]), data["loss"].values.ravel())


def test_only_our_scripts_run(page):
    """Every element is one of the template's; the policy allows the scripts and styles by their hashes alone."""
    found = parsed(page)
    tags = [tag for tag, _ in found.tags]
    assert tags.count("script") == 3
    assert "img" not in tags
    assert "b" not in tags
    for _, attrs in found.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "style") for name in attrs)
    assert [attrs["href"] for tag, attrs in found.tags if "href" in attrs] == ["data:,"]
    policy = next(attrs["content"] for tag, attrs in found.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    plotly = next(text for _, attrs, text in found.texts if attrs.get("id") == "plotly")
    sources = [gzip.decompress(base64.b64decode(plotly))]
    sources += [text.encode() for tag, attrs, text in found.texts if tag == "style" or not attrs.get("type")]
    assert {base64.b64encode(hashlib.sha256(source).digest()).decode() for source in sources} <= allowed
    assert HOSTILE not in page.read_text("utf-8")


def test_links_to_members_stay_below_the_sweep(tmp_path):
    data = sweep()
    bad = ["../x", "javascript:alert(1)", "/etc", "a\\b", "members/ok", ""]
    data["member"].values.ravel()[: len(bad)] = bad
    folder = write_sweep(tmp_path / "s")
    data.to_netcdf(folder / "sweep.nc", engine="h5netcdf")
    (record,) = carried(explore([folder]).path)[0]["sweeps"]
    assert record["folders"][: len(bad)] == [None, None, None, None, "s/members/ok", None]


def test_thinning_keeps_every_extreme():
    generator = np.random.default_rng(0)
    values = np.cumsum(generator.normal(size=(50_000, 2)), axis=0)
    values[31_415, 0], values[27_182, 1] = 1e6, -1e6  # a spike of one time
    chosen = kept(values, 2000)
    assert len(chosen) <= 2000
    assert {0, 49_999, 31_415, 27_182} <= set(chosen.tolist())
    for column in values.T:
        assert column[chosen].max() == column.max()
        assert column[chosen].min() == column.min()
    assert np.array_equal(kept(values[:2000], 2000), np.arange(2000))
    many = kept(np.ones((500, 4096)), 40)
    assert len(many) == 40
    assert {0, 499} <= set(many.tolist())


def test_long_series_fit_the_page(tmp_path):
    """60 probes of 20 000 times: 10 MB as they are."""
    time = np.linspace(0, 1, 20_000)
    noise = np.random.default_rng(0).normal(size=(60, time.size))
    data = xarray.Dataset({f"p{k}": ("time", noise[k]) for k in range(60)}, coords={"time": time})
    page = explore([write_run(tmp_path / "long", dataset=data.assign(loss=data["p0"]), descent=False)]).path
    assert page.stat().st_size < 6_000_000
    document, numbers = carried(page)
    one = document["runs"][0]["series"]["p7"]
    assert one["saved"] == 20_000
    assert one["times"][1] <= 2000
    assert numbers(one["values"]).max() == noise[7].max()
    assert document["x"] == "linear"


def test_seeds_become_a_band(tmp_path):
    seeds = xarray.concat([trajectory(s)[["loss"]] for s in (1.0, 2.0, 3.0)], dim="seed")
    document, numbers = carried(explore([write_run(tmp_path / "e", dataset=seeds, descent=False)]).path)
    one = document["runs"][0]["series"]["loss"]
    assert one["seeds"] == 3
    assert np.array_equal(numbers(one["values"]), trajectory(2.0)["loss"].values)
    assert np.all(numbers(one["low"]) <= numbers(one["values"]))


@pytest.fixture(name="refused")
def _refused(capsys):
    """The message of the command, which has to end with exit code 2."""

    def run(*folders):
        with pytest.raises(typer.Exit) as ended:
            command(list(folders))
        assert ended.value.exit_code == 2
        return capsys.readouterr().err

    return run


def test_command(tmp_path, capsys, refused):
    run = write_run(tmp_path / "r")
    command([run], json=True)
    assert json.loads(capsys.readouterr().out) == {
        "schema_version": 1, "status": "done", "page": str(tmp_path / "explore.html"), "runs": 1, "sweeps": 0,
    }  # fmt: skip
    command([run], out=tmp_path / "own.html")
    assert capsys.readouterr().out.strip() == str(tmp_path / "own.html")
    assert (tmp_path / "own.html").is_file()

    assert "is not a run folder" in refused(tmp_path / "nothing")
    assert "runs/NAME/*/" in refused(tmp_path / "own.html")
    assert "a folder is given twice" in refused(run, run)
    (tmp_path / "s" / "members").mkdir(parents=True)
    assert "flowsim collect" in refused(tmp_path / "s")
    (run / "descent" / "00.nc").write_bytes(b"no netCDF")
    assert "is damaged" in refused(run)


def test_without_plotly_there_is_one_message(tmp_path, monkeypatch, refused):
    run = write_run(tmp_path / "r")
    write._plotly.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly", None)  # as if it were not installed
    try:
        assert "python -m pip install" in refused(run)
    finally:
        write._plotly.cache_clear()


def test_no_folder_is_an_error():
    with pytest.raises(ExploreError, match="at least one"):
        explore([])


@pytest.mark.slow
def test_plotly_is_read_and_not_imported(tmp_path):
    run = write_run(tmp_path / "r")
    code = (
        f"import sys; from flowsim.explore import explore; explore([{str(run)!r}]);"
        "print([m for m in ('plotly', 'ruamel', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
