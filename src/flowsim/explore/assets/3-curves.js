// Probes against time: a panel for each, drawn when it comes into view.
const SVG = "http://www.w3.org/2000/svg";
const STROKES = { solid: "none", dash: "6 3", dot: "2 2", dashdot: "6 3 2 3", longdash: "10 4", longdashdot: "10 4 2 4" };
const MOST_LINES = 12;

function clockOf(run) {
  if (state.clock === "t") return 1;
  const event = run.events.find((one) => one.name === state.clock);
  return event && event.time > 0 ? event.time : null;
}

// Runs that are shown and have the chosen clock, each with its descent behind it.
function shown() {
  const found = [];
  data.runs.forEach((run, index) => {
    const unit = clockOf(run);
    if (!state.runs[index] || unit === null) return;
    found.push({ run, index, unit, label: run.name, descent: false });
    if (state.descent) run.descents.forEach((one, k) => found.push({ run: one, index, unit, label: `${run.name}: ${one.name}`, descent: true, k }));
  });
  return found;
}

function lines(name) {
  const found = [], single = shown().filter((one) => one.run.series[name] && !one.descent).length === 1;
  for (const one of shown()) {
    const series = one.run.series[name];
    if (!series) continue;
    const labels = entries(series), times = data.numbers(series.times);
    const part = (place, entry) => (place ? column(series, entry, data.numbers(place)) : null);
    labels.slice(0, MOST_LINES).forEach((entry, k) => {
      const color = single ? COLORS[k % COLORS.length] : COLORS[(one.index + (one.descent ? 3 * (one.k + 1) : 0)) % COLORS.length];
      const dash = one.descent ? DASHES[1 + (one.k % 5)] : single ? "solid" : DASHES[k % DASHES.length];
      found.push({
        run: one.label, entry, descent: one.descent, color, dash, unit: one.unit, width: one.descent ? 1.2 : 1.8,
        label: [data.runs.length > 1 || one.descent ? one.label : "", entry].filter(Boolean).join(", ") || name,
        times, x: Float64Array.from(times, (t) => placed(t / one.unit)),
        y: part(series.values, k), error: part(series.error, k), low: part(series.low, k), high: part(series.high, k),
      });
    });
  }
  return found;
}

function isLog(curves) {
  if (state.y !== "auto") return state.y === "log";
  let low = Infinity, high = 0;
  for (const curve of curves) for (const value of curve.y) {
    if (value < 0) return false;
    if (value > 0) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  return high > 30 * low;
}

const faint = (color) => color + "33";

// The band of a curve, where it is wide enough to be seen; the hover text gives the error in any case.
function band(curve, log) {
  if (!state.errors || (!curve.error && !curve.low)) return [];
  const low = curve.low || curve.y.map((value, i) => value - curve.error[i]);
  const high = curve.high || curve.y.map((value, i) => value + curve.error[i]);
  let range = [Infinity, -Infinity], widest = 0;
  curve.y.forEach((value, i) => {
    range = [Math.min(range[0], value), Math.max(range[1], value)];
    widest = Math.max(widest, log ? (high[i] - low[i]) / Math.abs(value || 1) : high[i] - low[i]);
  });
  if (!(widest > (log ? 0.01 : 0.003 * (range[1] - range[0])))) return [];
  const edge = { x: curve.x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
  const floor = log ? low.map((value, i) => Math.max(value, 1e-3 * Math.abs(curve.y[i]))) : low;
  return [{ ...edge, y: floor }, { ...edge, y: high, fill: "tonexty", fillcolor: faint(curve.color) }];
}

function traces(curves, log) {
  return curves.flatMap((curve) => {
    const name = plain(curve.label), unit = state.clock === "t" ? "t" : `t / ${plain(state.clock)}`;
    const text = Array.from(curve.y, (value, i) => short(value, 12) + (curve.error ? " ± " + curve.error[i].toExponential(1)
      : curve.low ? ` (10 to 90 %: ${short(curve.low[i], 5)} to ${short(curve.high[i], 5)})` : ""));
    return [...band(curve, log), {
      x: curve.x, y: curve.y, text, name, mode: curve.x.length < 2 ? "markers" : "lines", line: { color: curve.color, width: curve.width, dash: curve.dash },
      hovertemplate: `<b>${name}</b><br>${unit} = %{x:.8g}<br>%{text}<extra></extra>`,
    }];
  });
}

// A logarithmic axis has no place for t = 0. From a value there Plotly would draw a level line to the next one.
const placed = (time) => (state.x === "log" && !(time > 0) ? NaN : time);

// The slider's line at t = 0 stands at the first time after it.
function onAxis(time) {
  if (state.x !== "log" || time > 0) return time;
  return state.frames.find((one) => one > 0) || 1;
}

// Lines at the events of every run that is shown, and one at the slider's time.
function marks() {
  const found = [], several = state.runs.filter(Boolean).length > 1;
  data.runs.forEach((run, index) => {
    const unit = clockOf(run);
    if (!state.runs[index] || unit === null || !state.eventLines) return;
    run.events.forEach((event, k) => event.times.slice(0, 20).forEach((time) => found.push({
      type: "line", xref: "x", yref: "paper", x0: time / unit, x1: time / unit, y0: 0, y1: 1, layer: "below",
      line: { color: several ? COLORS[index % COLORS.length] : theme().soft, width: 1, dash: DASHES[1 + (k % 5)] },
    })));
  });
  const now = onAxis(state.time);
  found.push({ type: "line", xref: "x", yref: "paper", x0: now, x1: now, y0: 0, y1: 1, line: { color: "#c00000", width: 1 } });
  return found;
}

function names() {
  const found = [], several = state.runs.filter(Boolean).length > 1, seen = new Set();
  data.runs.forEach((run, index) => {
    const unit = clockOf(run);
    if (!state.runs[index] || unit === null || !state.eventLines) return;
    run.events.forEach((event) => {
      if (event.time === null || (several && seen.has(event.name))) return;
      seen.add(event.name);
      const at = event.time / unit;
      found.push({ x: state.x === "log" ? Math.log10(at) : at, y: 1, xref: "x", yref: "paper", text: plain(event.name), showarrow: false, yanchor: "bottom", font: { size: 10, color: theme().soft } });
    });
  });
  return found;
}

function summaryOf(name, curves) {
  const first = curves[0];
  if (!first || !first.y.length) return `${name}: nothing to show`;
  const last = first.y.length - 1;
  return `${name} against time, ${curves.length} lines; ${first.label} goes from ${short(first.y[0])} at t = ${short(first.times[0])} to ${short(first.y[last])} at t = ${short(first.times[last])}`;
}

// What the lines are. Of several runs the colors are named beside the runs, and dashes tell the entries apart.
function legend(curves) {
  const items = new Map(), several = new Set(curves.filter((curve) => !curve.descent).map((curve) => curve.run)).size > 1;
  for (const curve of curves) {
    const text = several && !curve.descent ? curve.entry : curve.label;
    if (curve.descent) { if (!items.has(curve.run)) items.set(curve.run, several ? curve : { ...curve, color: theme().soft }); }
    else if (text) items.set(text, several ? { ...curve, color: theme().soft } : curve);
  }
  if (items.size < 2 && !several) return [];
  return [...items].map(([text, curve]) => {
    const drawing = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "line");
    for (const [name, value] of Object.entries({ width: 26, height: 8, "aria-hidden": true })) drawing.setAttribute(name, value);
    for (const [name, value] of Object.entries({ x1: 0, x2: 26, y1: 4, y2: 4, stroke: curve.color, "stroke-width": 2, "stroke-dasharray": STROKES[curve.dash] })) line.setAttribute(name, value);
    drawing.append(line);
    return make("li", {}, drawing, " " + text);
  });
}

function drawCurve(panel) {
  const name = panel.dataset.name, plot = panel.querySelector(".plot"), curves = lines(name), log = isLog(curves);
  panel.curves = curves;
  plot.setAttribute("aria-label", summaryOf(name, curves));
  panel.querySelector(".note").textContent = [unitsOf(name), noteOf(name)].filter(Boolean).join("; ");
  panel.querySelector(".legend").replaceChildren(...legend(curves));
  const x = { type: state.x, title: { text: state.clock === "t" ? "time t" : `t / T(${plain(state.clock)})` } };
  if (state.range) { x.range = state.range.slice(); x.autorange = false; }
  Plotly.react(plot, traces(curves, log), layout({
    xaxis: x, yaxis: { type: log ? "log" : "linear" },
    shapes: marks(), annotations: names(), uirevision: [state.x, state.clock, log].join(),
  }), CONFIG);
  if (!panel.linked) {
    panel.linked = true;
    plot.on("plotly_click", (event) => setTime(event.points[0].x, true));
    plot.on("plotly_relayout", (change) => zoomed(panel, change));
  }
}

// Zooming one panel in time zooms all of them.
function zoomed(panel, change) {
  const range = change["xaxis.autorange"] ? null : change["xaxis.range[0]"] === undefined ? change["xaxis.range"] : [change["xaxis.range[0]"], change["xaxis.range[1]"]];
  if (range === undefined || String(range) === String(state.range)) return;
  state.range = range;
  redrawCurves(panel);
}

function seriesOf(name) {
  return data.runs.map((run) => run.series[name]).find(Boolean) || data.runs.flatMap((run) => run.descents).map((one) => one.series[name]).find(Boolean);
}

function unitsOf(name) {
  const series = seriesOf(name);
  return series.label + (series.units && series.units !== "1" ? ` (${series.units})` : "");
}

function noteOf(name) {
  const series = seriesOf(name), count = product(series.dims.map((dim) => dim.labels.length)), said = [];
  if (count > MOST_LINES) said.push(`the first ${MOST_LINES} of ${count} entries`);
  if (series.saved > series.times[1]) said.push(`${series.times[1]} of ${series.saved} saved times, extremes kept`);
  if (series.seeds) said.push(`median of ${series.seeds} seeds, band from 10 to 90 %`);
  const without = data.runs.filter((run, index) => state.runs[index] && clockOf(run) === null).map((run) => run.name);
  if (without.length) said.push(`without ${state.clock}, so not shown: ${without.join(", ")}`);
  return said.join("; ");
}

function visibleRows(panel) {
  const range = panel.querySelector(".plot").layout.xaxis.range, log = state.x === "log", rows = [["run", "entry", "time", "value", "error"]];
  const slack = 1e-9 * (range[1] - range[0]), seen = (x) => x >= range[0] - slack && x <= range[1] + slack;
  for (const curve of panel.curves) curve.x.forEach((x, i) => {
    if (seen(log ? Math.log10(x) : x)) rows.push([curve.run, curve.entry, curve.times[i], curve.y[i], curve.error ? curve.error[i] : NaN]);
  });
  return rows;
}

function curvePanel(name) {
  const plot = make("div", { class: "plot", role: "img", tabindex: "0" });
  const panel = make("section", { class: "panel", "data-name": name }, make("h3", {}, name), make("p", { class: "note" }), plot, make("ul", { class: "legend" }));
  panel.querySelector("h3").append(exporting(plot, name, () => visibleRows(panel)));
  return panel;
}

const inView = new IntersectionObserver((seen) => seen.forEach((one) => {
  one.target.seen = one.isIntersecting;
  if (one.isIntersecting && one.target.stale) { one.target.stale = false; drawCurve(one.target); }
}), { rootMargin: "300px" });

function redrawCurves(except = null) {
  for (const panel of document.querySelectorAll("#curves .panel")) {
    if (panel === except) continue;
    if (panel.seen) drawCurve(panel); else panel.stale = true;
  }
}

function chooseCurves() {
  const host = document.getElementById("curves");
  for (const panel of [...host.children]) if (!state.probes.has(panel.dataset.name)) { inView.unobserve(panel); panel.remove(); }
  for (const name of data.probes) {
    if (!state.probes.has(name) || host.querySelector(`[data-name="${CSS.escape(name)}"]`)) continue;
    const panel = curvePanel(name);
    panel.stale = true;
    const after = [...host.children].find((other) => data.probes.indexOf(other.dataset.name) > data.probes.indexOf(name));
    host.insertBefore(panel, after || null);
    inView.observe(panel);
  }
}
