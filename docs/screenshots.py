"""The pictures of the page `exploring.md`: runs and a sweep, `flowsim explore` over them, and Chromium's view of it.

    python docs/screenshots.py FOLDER

It needs Chromium with its driver, Selenium and Plotly. Runs that the folder holds already are not run again.
"""

import pathlib
import shutil
import subprocess
import sys
import time

from selenium import webdriver

IMAGES = pathlib.Path(__file__).parent / "images"
WORDS = """\
name: words
task: {kind: cooccurrence, samples: 24, length: 4, vocabulary: 12}
model: {kind: cooccurrence_transformer, width: 16, neurons: 16}
init: {kind: gaussian, sigma0: 0.2, sigma1: 0.2}
flow: {t1: 60.0}
events: [phase1_end]
save: {points: 200, spacing: log, first: 1.0e-2}
figures: []
"""
DESCENT = "descent=[{optimizer: sgd, learning_rate: 0.05, steps: 1200}]"
AXES = ("model.width=[8, 16, 32]", "init.sigma0={log: [0.05, 0.4, 4]}")


def flowsim(*arguments: object) -> str:
    command = [sys.executable, "-m", "flowsim", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(folder: pathlib.Path) -> None:
    """Everything that is looked at."""
    (folder / "e.yaml").write_text(WORDS, "utf8")
    for seed in (1, 2, 3):
        if not (folder / f"seed-{seed}").exists():
            flowsim("run", folder / "e.yaml", f"seed={seed}", DESCENT, "--out", folder / f"seed-{seed}", "-q")
    if not (folder / "sweep").exists():
        flowsim("sweep", folder / "e.yaml", *AXES, "--out", folder / "sweep")
    flowsim("collect", folder / "sweep", "-q")


def browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1240,960"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(300)  # a busy machine draws slowly
    return driver


def look(driver: webdriver.Chrome, page: pathlib.Path, name: str, script: str = "") -> None:
    """The page after a script, as a picture."""
    driver.get(page.as_uri())
    while not driver.execute_script("return document.documentElement.dataset.ready"):
        time.sleep(0.1)
    driver.execute_script(CHOOSE + script)
    time.sleep(2.0)  # Plotly draws
    driver.save_screenshot(str(IMAGES / f"{name}.png"))


CHOOSE = """
const choose = (id, value) => {
  const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('change'));
};
const slide = (share) => {
  const s = document.getElementById('slider'); s.value = Math.round(share * s.max); s.dispatchEvent(new Event('input'));
};
"""
MAPS = "slide(0.9); document.getElementById('maps-title').scrollIntoView(); window.scrollBy(0, -60);"
SWEEP = """
const value = document.getElementById('sweep-0-value');
value.selectedIndex = [...value.options].findIndex((one) => one.textContent === 'final_loss');
value.dispatchEvent(new Event('change'));
choose('sweep-0-at-0', '1'); choose('sweep-0-at-1', '2');
"""


def main(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run(folder)
    views = {
        "explore-one": (["seed-1"], "slide(0.5);"),
        "explore-runs": (["seed-1", "seed-2", "seed-3"], "choose('clock', 'phase1_end'); slide(0.5);"),
        "explore-attention": (["seed-1"], MAPS),
        "explore-sweep": (["sweep"], SWEEP),
    }
    driver = browser()
    try:
        for name, (runs, script) in views.items():
            page = folder / f"{name}.html"
            flowsim("explore", *(folder / one for one in runs), "--out", page)
            look(driver, page, name, script)
    finally:
        driver.quit()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
