let data = null;
const state = { runs: [], probes: new Set(), maps: new Set(), x: "log", y: "auto", clock: "t", errors: true, descent: true, eventLines: true, time: null, frames: [], range: null, timer: null };

function redraw() { state.range = null; refreshSlider(); redrawCurves(); }

function checkbox(text, on, change, color = null) {
  const swatch = color ? make("span", { class: "swatch", "aria-hidden": "true" }) : null;
  if (swatch) swatch.style.setProperty("background", color);
  const input = make("input", { type: "checkbox", checked: on, onchange: () => change(input.checked) });
  return make("label", { class: "check" }, input, swatch, " " + text);
}

function fillRuns() {
  const host = document.getElementById("runs");
  data.runs.forEach((run, index) => {
    const about = make("span", { class: "soft" }, ` ${run.status}${run.error === null ? "" : `, error ${run.error.toExponential(0)}`}`);
    const label = checkbox(run.name, true, (on) => { state.runs[index] = on; redraw(); fillEvents(); }, data.runs.length > 1 ? COLORS[index % COLORS.length] : null);
    label.append(about);
    host.append(label);
  });
}

function fillProbes() {
  const host = document.getElementById("probes"), moments = document.getElementById("moments");
  for (const name of data.probes) {
    host.append(checkbox(name, state.probes.has(name), (on) => { state.probes[on ? "add" : "delete"](name); chooseCurves(); }));
    const dims = seriesOf(name).dims;
    if (dims.length && product(dims.map((dim) => dim.labels.length)) > 1 && data.runs.some((run) => run.series[name])) moments.append(checkbox(name, state.maps.has(name), (on) => { state.maps[on ? "add" : "delete"](name); chooseMaps(); }));
  }
  document.getElementById("filter").addEventListener("input", (event) => {
    for (const label of host.children) label.hidden = !label.textContent.toLowerCase().includes(event.target.value.toLowerCase());
  });
  document.getElementById("moment").hidden = !moments.children.length;
}

function fillEvents() {
  const body = document.getElementById("events");
  body.replaceChildren();
  data.runs.forEach((run, index) => {
    if (!state.runs[index]) return;
    for (const event of run.events) {
      const when = measured(event.time, event.uncertainty), jump = () => jumpTo(run, event);
      const button = event.time === null ? document.createTextNode(when) : make("button", { type: "button", class: "jump", "aria-label": `go to ${event.name} of ${run.name}, t = ${when}`, onclick: jump }, when);
      const later = event.times.length > 1 ? ` and ${event.times.length - 1} later` : "";
      body.append(make("tr", { title: event.description }, make("th", { scope: "row" }, event.name, data.runs.length > 1 ? make("span", { class: "soft" }, ` of ${run.name}`) : null, make("br"), button, later)));
    }
  });
  document.getElementById("events-box").hidden = !body.children.length;
}

// The slider goes to the event, and the panels show a decade, or a fifth of the run, on either side.
function jumpTo(run, event) {
  const unit = clockOf(run);
  if (unit === null) return;
  const at = event.time / unit, last = Math.max(...Object.values(run.series).map((series) => { const times = data.numbers(series.times); return times[times.length - 1] / unit; }));
  state.range = state.x === "log" ? [Math.log10(at) - 1, Math.log10(at) + 1] : [Math.max(0, at - 0.2 * last), at + 0.2 * last];
  setTime(at, true);
  redrawCurves();
}

function choices() {
  const clock = document.getElementById("clock"), events = new Set(data.runs.flatMap((run) => run.events.filter((event) => event.time > 0).map((event) => event.name)));
  for (const name of events) clock.append(make("option", { value: name }, `t / T(${name})`));
  const on = (id, key, act = redraw) => document.getElementById(id).addEventListener("change", (event) => { state[key] = event.target.type === "checkbox" ? event.target.checked : event.target.value; act(); });
  on("x-axis", "x"); on("y-axis", "y"); on("errors", "errors"); on("descent", "descent"); on("event-lines", "eventLines");
  on("clock", "clock", () => { state.time = null; redraw(); fillEvents(); });
  document.getElementById("descent-box").hidden = !data.runs.some((run) => run.descents.length);
  document.getElementById("whole").addEventListener("click", redraw);
  document.getElementById("all").addEventListener("click", () => { const all = state.probes.size < data.probes.length; data.probes.forEach((name) => state.probes[all ? "add" : "delete"](name)); document.querySelectorAll("#probes input").forEach((input) => { input.checked = all; }); chooseCurves(); });
  const slider = document.getElementById("slider");
  slider.addEventListener("input", () => setTime(state.frames[Number(slider.value)], false));
  document.getElementById("play").addEventListener("click", play);
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, textarea, a") || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === " ") play();
    else if (move && state.frames.length) setTime(state.frames[Math.min(Math.max(Number(slider.value) + move, 0), state.frames.length - 1)], true);
    else return;
    event.preventDefault();
  });
}

function themes() {
  const repaint = () => { redrawCurves(); redrawMaps(); document.querySelectorAll("#sweeps .panel").forEach((panel) => panel.draw()); };
  document.getElementById("theme").addEventListener("change", (event) => { document.documentElement.dataset.theme = event.target.value; repaint(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

// Plotly writes style attributes, which the policy forbids in any document; through the object model they are allowed.
function styleThroughObjectModel() {
  const written = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value; else written.call(this, name, value);
  };
}

async function start() {
  styleThroughObjectModel();
  const [script, packed] = await Promise.all([unpacked("plotly"), unpacked("data")]);
  const element = document.createElement("script");
  element.textContent = new TextDecoder().decode(script); // runs because its hash stands in the policy
  // Plotly brings a style sheet for geographic maps, which the policy forbids and nothing here needs.
  Object.defineProperty(HTMLStyleElement.prototype, "textContent", { configurable: true, set() {} });
  document.head.append(element);
  delete HTMLStyleElement.prototype.textContent;
  data = decoded(packed);
  if (!window.Plotly) throw new Error("the plotting script did not run");
  state.runs = data.runs.map(() => true);
  state.x = data.x;
  document.getElementById("x-axis").value = data.x;
  data.open.forEach((name) => state.probes.add(name));
  data.maps.forEach((name) => state.maps.add(name));
  fillRuns(); fillProbes(); fillEvents(); choices(); themes();
  document.getElementById("of-runs").hidden = !data.runs.length;
  document.querySelectorAll(".of-runs").forEach((one) => { one.hidden = !data.runs.length || one.hidden; });
  if (data.runs.length) { chooseCurves(); chooseMaps(); }
  const sweeps = document.getElementById("sweeps");
  data.sweeps.forEach((sweep, number) => { const panel = sweepPanel(sweep, number); sweeps.append(panel); panel.draw(); });
  document.getElementById("wait").remove();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start().catch((problem) => {
  document.getElementById("wait").textContent = `This page could not be opened: ${problem.message}. It needs a browser of 2023 or later (Chromium 80, Firefox 113, Safari 16.4).`;
});
