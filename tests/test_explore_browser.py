"""The interactive page in a real browser: what is on the screen is the data, and nothing leaves the file.

Needs Chromium and its driver (Debian: chromium, chromium-driver).
"""

import csv
import io
import json
import re
import shutil
import time

import numpy as np
import pytest
import xarray

from flowsim.explore import explore

from .explore_data import HOSTILE, PROBE, sweep, trajectory, write_run, write_sweep

pytestmark = pytest.mark.slow
pytest.importorskip("plotly")
webdriver = pytest.importorskip("selenium.webdriver")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module", name="driver")
def _driver(tmp_path_factory):
    if BROWSER is None or DRIVER is None:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1400,1500")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    folder = tmp_path_factory.mktemp("downloads")
    allowed = {"profile.default_content_setting_values.automatic_downloads": 1}  # several from one page, unasked
    options.add_experimental_option("prefs", {"download.default_directory": str(folder), **allowed})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.downloads = folder
    yield driver
    driver.quit()


def wait(condition, seconds=20.0):
    """Wait until it holds, and give what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def opened(driver, page):
    driver.get_log("browser"), driver.get_log("performance")  # forget what another page said
    driver.get(page.as_uri())
    return int(wait(lambda: driver.execute_script("return document.documentElement.dataset.ready")))


def clean(driver, page):
    """No message of an error, and no request but for the page itself and for what it holds."""
    assert [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if url != page.as_uri() and not re.match("(data|blob):", url)] == []
    return asked


def choose(driver, identity, value):
    driver.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'))",
        identity, value,
    )  # fmt: skip


PANEL = "[...document.querySelectorAll(`#${arguments[0]} .panel`)].find((one) => one.dataset.name === arguments[1])"


def plotted(driver, host, name):
    """Data and layout of a panel, as Plotly has them now."""
    script = f"const plot = {PANEL}.querySelector('.plot');"
    script += (
        "const list = (v) => v && v.length !== undefined && typeof v !== 'string' ? Array.from(v, list) : v;"
        "return plot.data && {traces: plot.data.map((t) => ({type: t.type, name: t.name, text: t.text, x: list(t.x),"
        "y: list(t.y), z: list(t.z), hover: t.hovertemplate, fill: t.fill})), shapes: plot.layout.shapes,"
        "xtype: plot.layout.xaxis.type, ytype: plot.layout.yaxis.type, range: plot.layout.xaxis.range}"
    )
    return wait(lambda: driver.execute_script(script, host, name))


@pytest.fixture(scope="module", name="page")
def _page(tmp_path_factory, driver):
    folder = tmp_path_factory.mktemp("pages")
    runs = [write_run(folder / name, shift) for name, shift in (("a", 1.0), ("b", 2.0), (PROBE, 3.0))]
    page = explore([*runs, write_sweep(folder / "swept")]).path
    opened(driver, page)
    return page


def lines(found):
    return [one for one in found["traces"] if one["hover"]]


def test_curves_are_the_data(driver, page):
    found = lines(plotted(driver, "curves", "loss"))
    flow = [one for one in found if "sgd" not in one["name"]]
    assert len(found) == 6  # three runs, and descent beside each
    for one, shift in zip(flow, (1.0, 2.0, 3.0), strict=True):
        data = trajectory(shift)
        assert one["x"] == [
            None,
            *data["time"].values.tolist()[1:],
        ]
        assert one["y"] == data["loss"].values.tolist()
        value, error = map(float, one["text"][3].split(" ± "))
        assert value == pytest.approx(float(data["loss"][3]), rel=1e-11)
        assert error == pytest.approx(float(data["loss_error"][3]), rel=0.06)
    assert page.as_uri() in clean(driver, page)


def test_pointer_tells_value_and_error(driver, page):
    script = (
        f"const plot = {PANEL}.querySelector('.plot'); plot.scrollIntoView({{block: 'center'}});"
        "const l = plot._fullLayout, t = plot.data.filter((one) => one.hovertemplate)[0], i = 25;"
        "const box = plot.getBoundingClientRect();"
        "return [box.left + l._size.l + l.xaxis.d2p(t.x[i]), box.top + l._size.t + l.yaxis.d2p(t.y[i])]"
    )
    time.sleep(0.3)
    x, y = driver.execute_script(script, "curves", "loss")
    actions = webdriver.ActionChains(driver)
    actions.w3c_actions.pointer_action.move_to_location(round(x), round(y))
    actions.perform()
    said = wait(
        lambda: driver.execute_script(
            "return [...document.querySelectorAll('.hoverlayer tspan')].map((e) => e.textContent).join(' ')"
        )
    )
    value, error = map(float, re.search(r"([\d.e+-]+) ± ([\d.e+-]+)", said).groups())
    nearest = np.concatenate([trajectory(s)["loss"].values for s in (1.0, 2.0, 3.0)])
    nearest = nearest[np.argmin(np.abs(nearest - value))]
    assert value == pytest.approx(nearest, rel=1e-11)
    assert error == pytest.approx(1e-9 * nearest, rel=0.06)


def test_slider_moves_every_matrix_to_one_time(driver, page):
    data, count = trajectory(1.0), 0
    for index in (5, 60, 100):
        script = (
            "const s = document.getElementById('slider'); s.value = Math.min(arguments[0], s.max);"
            "s.dispatchEvent(new Event('input')); return [state.time, document.getElementById('now').textContent]"
        )
        now, text = driver.execute_script(script, index)
        assert float(text.removeprefix("t = ")) == pytest.approx(now, rel=1e-5)
        row = int(np.argmin(np.abs(data["time"].values - now)))
        scores = plotted(driver, "maps", "attention_score")["traces"]
        assert len(scores) == 3
        assert np.array_equal(scores[0]["z"], data["attention_score"].values[row].T)  # queries down, keys across
        maps = plotted(driver, "maps", "attention_map")["traces"]
        assert len(maps) == 6  # two heads of three runs
        assert np.array_equal(maps[1]["z"], data["attention_map"].values[row, 1].T)
        cursor = plotted(driver, "curves", "loss")["shapes"][-1]
        assert cursor["x0"] == pytest.approx(now)
        count += 1
    assert count == 3
    clean(driver, page)


def test_spectra_move_too(driver, page):
    driver.execute_script(
        "const box = [...document.querySelectorAll('#moments label')].find((l) => /singular/.test(l.textContent));"
        "box.querySelector('input').click()"
    )
    now = driver.execute_script("return state.time")
    found = plotted(driver, "maps", "singular_values")["traces"]
    for one, shift in zip(found, (1.0, 2.0, 3.0), strict=True):
        data = trajectory(shift)
        row = int(np.argmin(np.abs(data["time"].values - now)))
        assert one["y"] == data["singular_values"].values[row].tolist()


def test_playing_moves_the_slider(driver, page):
    value = "return Number(document.getElementById('slider').value)"
    driver.execute_script("setTime(state.frames[0], false); document.getElementById('play').click()")
    wait(lambda: driver.execute_script(value) > 3)
    driver.execute_script("document.getElementById('play').click()")
    stopped = driver.execute_script(value)
    time.sleep(0.4)
    assert driver.execute_script(value) == stopped
    body = driver.find_element("tag name", "body")
    body.send_keys(webdriver.Keys.ARROW_RIGHT)
    assert driver.execute_script(value) == stopped + 1


def test_axes_and_clock(driver, page):
    for kind in ("linear", "log"):
        choose(driver, "x-axis", kind)
        choose(driver, "y-axis", kind)
        found = plotted(driver, "curves", "loss")
        assert (found["xtype"], found["ytype"]) == (kind, kind)
    choose(driver, "y-axis", "auto")
    choose(driver, "clock", "phase1_end")
    first, *_ = lines(plotted(driver, "curves", "loss"))
    assert first["x"] == [None, *(trajectory(1.0)["time"].values / 7.0).tolist()[1:]]
    choose(driver, "x-axis", "linear")
    first, *_ = lines(plotted(driver, "curves", "loss"))
    assert first["x"] == (trajectory(1.0)["time"].values / 7.0).tolist()
    choose(driver, "x-axis", "log")
    marks = [one["x0"] for one in plotted(driver, "curves", "loss")["shapes"][:-1]]
    assert sorted(marks) == pytest.approx([1, 1, 1, 3, 3, 3])  # each run in units of its own event
    choose(driver, "clock", "t")
    clean(driver, page)


def test_event_says_its_time_and_goes_there(driver, page):
    buttons = driver.find_elements("css selector", "button.jump")
    assert [button.text for button in buttons] == ["7.0 ± 1e-9".replace("7.0", "7"), "3.5 ± 1e-9", "2.333333333 ± 1e-9"]
    buttons[1].click()
    assert driver.execute_script("return state.time") == 3.5
    assert plotted(driver, "curves", "loss")["range"] == pytest.approx([np.log10(3.5) - 1, np.log10(3.5) + 1])
    assert "never" in driver.find_element("id", "events").text
    driver.find_element("id", "whole").click()


def test_runs_and_descent_can_be_hidden(driver, page):
    driver.find_elements("css selector", "#runs input")[1].click()
    assert len(lines(plotted(driver, "curves", "loss"))) == 4
    driver.find_element("id", "descent").click()
    assert len(lines(plotted(driver, "curves", "loss"))) == 2
    driver.find_elements("css selector", "#runs input")[1].click()
    driver.find_element("id", "descent").click()
    assert len(lines(plotted(driver, "curves", "loss"))) == 6


def test_text_of_a_user_is_text(driver, page):
    driver.execute_script(
        "const box = [...document.querySelectorAll('#probes label')].find((l) => l.textContent.includes(arguments[0]));"
        "box.querySelector('input').click()", PROBE,
    )  # fmt: skip
    found = plotted(driver, "curves", PROBE)
    assert lines(found)
    heading = driver.execute_script(f"return {PANEL}.querySelector('.note').textContent", "curves", PROBE)
    assert HOSTILE in heading
    assert driver.execute_script("return document.querySelectorAll('img, b').length") == 0
    assert driver.execute_script(f"return {PANEL}.querySelectorAll('.plot a, .plot img').length", "curves", PROBE) == 0
    clean(driver, page)


def click(driver, host, name, text):
    script = f"[...{PANEL}.querySelectorAll('.export button')].find((b) => b.textContent === arguments[2]).click()"
    driver.execute_script(script, host, name, text)


def test_exports(driver, page):
    for kind, text in (("csv", "CSV"), ("svg", "SVG"), ("png", "PNG")):
        click(driver, "curves", "loss", text)
        path = driver.downloads / f"loss.{kind}"
        wait(lambda path=path: path.is_file() and path.stat().st_size > 100)
    rows = list(csv.DictReader(io.StringIO((driver.downloads / "loss.csv").read_text("utf-8"))))
    data = trajectory(1.0)
    mine = [(float(row["time"]), float(row["value"]), float(row["error"])) for row in rows if row["run"] == "a"]
    later = data["time"].values > 0  # the logarithmic axis shows no t = 0
    expected = zip(*(data[name].values[later] for name in ("time", "loss", "loss_error")), strict=True)
    assert mine == list(expected)
    assert (driver.downloads / "loss.svg").read_text("utf-8").startswith("<svg")
    assert (driver.downloads / "loss.png").read_bytes().startswith(b"\x89PNG")
    click(driver, "maps", "attention_score", "CSV")
    path = wait(lambda: next(iter(driver.downloads.glob("attention_score.csv")), None))
    assert len(list(csv.reader(io.StringIO(wait(lambda: path.read_text("utf-8")))))) == 1 + 3 * 9
    clean(driver, page)


def test_colors_of_day_and_night(driver, page):
    grounds = []
    for choice in ("light", "dark"):
        choose(driver, "theme", choice)
        ground = f"return {PANEL}.querySelector('.plot').layout.paper_bgcolor"
        grounds.append(driver.execute_script(ground, "curves", "loss"))
    assert grounds == ["#ffffff", "#14171c"]
    choose(driver, "theme", "auto")


def test_sweep(driver, page):
    data = sweep()
    script = (
        "const p = document.querySelector('#sweeps .plot'); return [p.data[0].customdata, p.data[0].x, p.data[0].y]"
    )
    choose(driver, "sweep-0-value", "1")
    values = driver.execute_script(script)
    name = driver.execute_script("return document.getElementById('sweep-0-value').selectedOptions[0].textContent")
    assert name == "final_loss"
    choose(driver, "sweep-0-x", "1")
    z, x, y = driver.execute_script(script)
    assert x == ["0.001", "0.01", "0.1", "1"]
    assert y == ["128", "256", "512"]
    assert np.array_equal(z, data["final_loss"].values[:, :, 0])
    assert values is not None
    place = driver.execute_script(
        "const p = document.querySelector('#sweeps .plot'), l = p._fullLayout;"
        "p.scrollIntoView({block: 'center', behavior: 'instant'}); const b = p.getBoundingClientRect();"
        "return [b.left + l._size.l + l.xaxis.c2p(2), b.top + l._size.t + l.yaxis.c2p(1)]"
    )
    actions = webdriver.ActionChains(driver)
    actions.w3c_actions.pointer_action.move_to_location(*map(round, place))
    actions.w3c_actions.pointer_action.click()
    actions.perform()
    title = "const text = document.querySelector('.detail h4').textContent; return /256/.test(text) && text"
    detail = wait(lambda: driver.execute_script(title))
    assert detail == "model.width = 256, init.sigma0 = 0.1, seed = 0"
    link = driver.find_element("css selector", ".detail a").get_attribute("href")
    assert link == (page.parent / "swept" / "members" / "m12" / "report.html").as_uri()
    curve = driver.execute_script("return Array.from(document.querySelector('.detail .plot').data[0].y)")
    assert curve == data["loss"].values[:, 1, 2, 0].tolist()
    clean(driver, page)


def test_what_a_screen_reader_hears(driver, page):
    label = driver.execute_script(f"return {PANEL}.querySelector('.plot').getAttribute('aria-label')", "curves", "loss")
    assert label.startswith("loss against time, 6 lines; a goes from 0.7 at t = 0 to")
    unnamed = driver.execute_script(
        "return [...document.querySelectorAll('input, select, button, [role=img]')].filter((e) =>"
        "!e.closest('label') && !e.getAttribute('aria-label') && !e.textContent.trim()).map((e) => e.outerHTML)"
    )
    assert unnamed == []


def test_opens_fast(driver, tmp_path):
    """20 probes of 2 000 times with error bands; the best of three openings, beside other work."""
    moments = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 1999)])
    noise = np.random.default_rng(0).normal(size=(20, moments.size)).cumsum(axis=1)
    data = {f"p{k:02d}": ("time", noise[k]) for k in range(20)}
    data |= {f"p{k:02d}_error": ("time", 1 + 0 * noise[k]) for k in range(20)}
    run = write_run(tmp_path / "r", dataset=xarray.Dataset(data, coords={"time": moments}).assign(loss=data["p00"]))
    page = explore([run]).path
    assert page.stat().st_size < 6_000_000
    taken = [opened(driver, page) for _ in range(3)]
    assert len(lines(plotted(driver, "curves", "loss"))[0]["x"]) == 2000
    assert min(taken) <= 2000, taken  # milliseconds
    clean(driver, page)
