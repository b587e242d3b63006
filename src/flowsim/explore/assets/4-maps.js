// Matrices and spectra at one time: everything that has entries moves together with the slider.
const MOST_MAPS = 8;

function frameTimes() {
  const found = new Set();
  data.runs.forEach((run, index) => {
    const unit = clockOf(run);
    if (!state.runs[index] || unit === null) return;
    const wanted = Object.entries(run.series).filter(([name]) => state.maps.has(name));
    for (const [, series] of wanted.length ? wanted : Object.entries(run.series).slice(0, 1)) for (const time of data.numbers(series.times)) found.add(time / unit);
    run.events.forEach((event) => event.times.slice(0, 20).forEach((time) => found.add(time / unit)));
  });
  return [...found].sort((a, b) => a - b);
}

// Query positions run down and keys across, as papers print attention; otherwise the last axis runs across.
function across(series) {
  const last = series.dims.length - 1, [first, second] = [series.dims[last - 1], series.dims[last]];
  return /^query/.test(second.name) && !/^query/.test(first.name) ? { x: first, y: second, turned: true } : { x: second, y: first, turned: false };
}

function extremes(numbers) {
  let low = Infinity, high = -Infinity;
  for (const value of numbers) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
  return [low, high];
}

function maps(name) {
  const found = [];
  data.runs.forEach((run, index) => {
    const series = run.series[name], unit = clockOf(run);
    if (!series || !state.runs[index] || unit === null) return;
    const outer = series.dims.slice(0, -2), labels = outer.length ? entries({ dims: outer }) : [""];
    labels.slice(0, MOST_MAPS).forEach((label, k) => found.push({ run, index, unit, series, k, title: [data.runs.length > 1 ? run.name : "", label].filter(Boolean).join(", ") }));
  });
  return found;
}

function slice(one) {
  const times = data.numbers(one.series.times), row = nearest(times, state.time * one.unit);
  const last = one.series.dims.length - 1, rows = one.series.dims[last - 1].labels.length, columns = one.series.dims[last].labels.length;
  const size = product(one.series.dims.map((dim) => dim.labels.length)), numbers = data.numbers(one.series.values);
  const start = row * size + one.k * rows * columns, turned = across(one.series).turned, z = [];
  for (let i = 0; i < (turned ? columns : rows); i++) {
    const line = [];
    for (let j = 0; j < (turned ? rows : columns); j++) line.push(numbers[start + (turned ? j * columns + i : i * columns + j)]);
    z.push(line);
  }
  return { z, time: times[row] };
}

function drawMap(panel) {
  const shownMaps = maps(panel.dataset.name), plot = panel.querySelector(".plot"), count = shownMaps.length, columns = count < 2 ? 1 : Math.min(Math.max(count, 3), 4), rows = Math.ceil(count / columns);
  panel.maps = shownMaps;
  panel.style.setProperty("--rows", String(rows));
  panel.classList.toggle("wide", count > 1);
  const look = theme(), more = {}, annotations = [], figures = [];
  const [low, high] = extremes(shownMaps.flatMap((one) => extremes(data.numbers(one.series.values))));
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1, signed = low < 0;
  shownMaps.forEach((one, i) => {
    const key = i ? i + 1 : "", sides = across(one.series), { z, time } = slice(one);
    const [left, top] = [(i % columns) / columns, 1 - Math.floor(i / columns) / rows], [wide, tall] = [1 / columns, 1 / rows];
    more["xaxis" + key] = axis(look, { domain: [left + 0.1 * wide, left + 0.92 * wide], anchor: "y" + key, title: { text: plain(sides.x.name), standoff: 4 }, type: "category", showgrid: false });
    more["yaxis" + key] = axis(look, { domain: [top - 0.8 * tall, top - 0.1 * tall], anchor: "x" + key, title: { text: i % columns ? "" : plain(sides.y.name), standoff: 4 }, type: "category", autorange: "reversed", showgrid: false });
    annotations.push({ text: plain([one.title, `t = ${short(time, 4)}`].filter(Boolean).join(", ")), x: left + 0.51 * wide, y: top - 0.09 * tall, xref: "paper", yref: "paper", showarrow: false, yanchor: "bottom", font: { size: 11 } });
    figures.push({
      type: "heatmap", z, x: sides.x.labels.map((label) => plain(label)), y: sides.y.labels.map((label) => plain(label)), xaxis: "x" + key, yaxis: "y" + key,
      zmin: signed ? -size : 0, zmax: size, colorscale: signed ? TWO_SIGNS : ONE_SIGN, showscale: i === 0, colorbar: { thickness: 10, outlinewidth: 0, tickfont: { size: 10 } },
      hovertemplate: `${plain(sides.y.name)} %{y}, ${plain(sides.x.name)} %{x}<br>%{z:.10g}<extra></extra>`,
    });
  });
  const base = layout({ annotations, margin: { l: 36, r: 10, t: 8, b: 8 } });
  delete base.xaxis; delete base.yaxis;
  plot.setAttribute("aria-label", `${panel.dataset.name}: ${count} maps at t = ${count ? short(slice(shownMaps[0]).time) : "–"}`);
  Plotly.react(plot, figures, { ...base, ...more }, CONFIG);
}

function bars(name) {
  return shown().filter((one) => one.run.series[name] && !one.descent).map((one) => {
    const series = one.run.series[name], times = data.numbers(series.times), row = nearest(times, state.time * one.unit), size = series.dims[0].labels.length;
    const part = (place) => (place ? Array.from(data.numbers(place).subarray(row * size, (row + 1) * size)) : null);
    return { ...one, series, time: times[row], values: part(series.values), error: part(series.error) };
  });
}

function drawBars(panel) {
  const plot = panel.querySelector(".plot"), found = bars(panel.dataset.name);
  panel.bars = found;
  const [low, high] = extremes(found.flatMap((one) => extremes(data.numbers(one.series.values)))), margin = 0.05 * (high - low || 1);
  const figures = found.map((one) => ({
    type: "scatter", mode: "lines+markers", x: one.series.dims[0].labels.map((label) => plain(label)), y: one.values, name: plain(one.label),
    line: { color: COLORS[one.index % COLORS.length] }, error_y: one.error && state.errors ? { type: "data", array: one.error, thickness: 1 } : { visible: false },
    hovertemplate: `<b>${plain(one.label)}</b>, ${plain(one.series.dims[0].name)} %{x}<br>%{y:.12g}<extra></extra>`,
  }));
  plot.setAttribute("aria-label", `${panel.dataset.name} by ${found.length ? found[0].series.dims[0].name : "entry"} at one time`);
  const title = found.map((one) => `t = ${short(one.time, 4)}`).filter((text, i, all) => all.indexOf(text) === i).join("; ");
  Plotly.react(plot, figures, layout({
    xaxis: { type: "category", title: { text: found.length ? plain(found[0].series.dims[0].name) : "" } }, yaxis: { range: [low - margin, high + margin]},
    annotations: [{ text: title, x: 0.5, y: 1, xref: "paper", yref: "paper", yanchor: "bottom", showarrow: false, font: { size: 11 } }],
  }), CONFIG);
}

function momentRows(panel) {
  const rows = [["run", "entry", "time", "value"]];
  for (const one of panel.maps || []) {
    const sides = across(one.series), { z, time } = slice(one);
    z.forEach((line, i) => line.forEach((value, j) => rows.push([one.run.name, [one.title, `${sides.y.name} ${sides.y.labels[i]}`, `${sides.x.name} ${sides.x.labels[j]}`].filter(Boolean).join(", "), time, value])));
  }
  for (const one of panel.bars || []) one.values.forEach((value, i) => rows.push([one.label, `${one.series.dims[0].name} ${one.series.dims[0].labels[i]}`, one.time, value]));
  return rows;
}

function chooseMaps() {
  const host = document.getElementById("maps");
  host.replaceChildren();
  document.getElementById("maps-title").hidden = !state.maps.size;
  for (const name of data.probes.filter((one) => state.maps.has(one))) {
    const plot = make("div", { class: "plot", role: "img", tabindex: "0" }), matrix = seriesOf(name).dims.length > 1;
    const panel = make("section", { class: matrix ? "panel map" : "panel", "data-name": name }, make("h3", {}, name), plot);
    panel.querySelector("h3").append(exporting(plot, name, () => momentRows(panel)));
    panel.draw = () => (matrix ? drawMap(panel) : drawBars(panel));
    host.append(panel);
  }
  refreshSlider();
  redrawMaps();
}

const redrawMaps = () => document.querySelectorAll("#maps .panel").forEach((panel) => panel.draw());

function refreshSlider() {
  state.frames = frameTimes();
  const slider = document.getElementById("slider");
  slider.max = String(Math.max(state.frames.length - 1, 0));
  setTime(state.time === null ? state.frames[0] || 0 : state.time, false);
}

// Everything moves to this time, in the chosen clock.
function setTime(time, say) {
  state.time = time;
  const slider = document.getElementById("slider"), index = state.frames.length ? nearest(state.frames, time) : 0;
  slider.value = String(index);
  const text = (state.clock === "t" ? "t = " : `t / T(${state.clock}) = `) + short(time, 6);
  slider.setAttribute("aria-valuetext", text);
  document.getElementById("now").textContent = text;
  if (say) document.getElementById("live").textContent = text;
  redrawMaps();
  for (const panel of document.querySelectorAll("#curves .panel")) {
    const plot = panel.querySelector(".plot");
    if (panel.seen && plot.layout) { const i = plot.layout.shapes.length - 1, now = onAxis(time); Plotly.relayout(plot, { [`shapes[${i}].x0`]: now, [`shapes[${i}].x1`]: now }); }
  }
}

function play() {
  const button = document.getElementById("play");
  if (state.timer) { clearInterval(state.timer); state.timer = null; button.textContent = "Play"; return; }
  button.textContent = "Pause";
  const slider = document.getElementById("slider");
  if (Number(slider.value) >= state.frames.length - 1) setTime(state.frames[0], false);
  const step = Math.max(1, Math.round(state.frames.length / 150)); // a film of about fifteen seconds
  state.timer = setInterval(() => {
    const next = Number(slider.value) + step;
    setTime(state.frames[Math.min(next, state.frames.length - 1)], false);
    if (next >= state.frames.length - 1) play();
  }, 100);
}
