// A sweep: two of its axes as a heat map (or one as a line), the others chosen; a click opens a member.
function sweepPanel(sweep, number) {
  const id = (what) => `sweep-${number}-${what}`;
  const own = { x: sweep.axes.length - 1, y: sweep.axes.length > 1 ? 0 : null, value: Math.max(0, sweep.values.findIndex((one) => one.name === "final_loss")), at: sweep.axes.map(() => 0), log: false };
  const strides = sweep.axes.map((_, i) => product(sweep.axes.slice(i + 1).map((one) => one.labels.length)));
  const flat = (at) => at.reduce((sum, place, i) => sum + place * strides[i], 0);
  const values = (k) => data.numbers(sweep.values[k].place);
  const plot = make("div", { class: "plot", role: "img", tabindex: "0" }), detail = make("div", { class: "detail", "aria-live": "polite" });
  const choice = (what, label, names, start, change) => {
    const select = make("select", { id: id(what), onchange: () => { change(Number(select.value)); draw(); } }, ...names.map((name, i) => make("option", { value: String(i) }, String(name))));
    select.value = String(start);
    return make("label", { for: id(what) }, label + " ", select);
  };
  const axisNames = sweep.axes.map((one) => one.name), controls = make("div", { class: "controls" });
  controls.append(choice("value", "value", sweep.values.map((one) => one.name), own.value, (k) => { own.value = k; }));
  if (sweep.axes.length > 1) {
    const pick = (key, other) => (k) => { if (own[other] === k) own[other] = own[key]; own[key] = k; fill(); };
    controls.append(choice("x", "across", axisNames, own.x, pick("x", "y")), choice("y", "down", axisNames, own.y, pick("y", "x")));
  }
  controls.append(make("label", {}, make("input", { type: "checkbox", id: id("log"), onchange: (event) => { own.log = event.target.checked; draw(); } }), " logarithmic values"));
  const members = make("div", { class: "controls" }, make("span", {}, "member: "));
  sweep.axes.forEach((one, i) => members.append(choice(`at-${i}`, one.name, one.labels, 0, (k) => { own.at[i] = k; open(); })));

  function fill() { for (const key of ["x", "y"]) { const select = document.getElementById(id(key)); if (select) select.value = String(own[key]); } }

  function draw() {
    const source = values(own.value), name = sweep.values[own.value].name, x = sweep.axes[own.x], y = own.y === null ? null : sweep.axes[own.y];
    const place = (i, j) => { const at = own.at.slice(); at[own.x] = j; if (y) at[own.y] = i; return flat(at); };
    const shownValue = (value) => (own.log ? (value > 0 ? Math.log10(value) : NaN) : value);
    const grid = (y ? y.labels : [""]).map((_, i) => x.labels.map((_, j) => source[place(i, j)]));
    const xs = x.labels.map((label) => plain(label)), rest = sweep.axes.filter((_, i) => i !== own.x && i !== own.y).map((one) => `${one.name} = ${one.labels[own.at[sweep.axes.indexOf(one)]]}`);
    plot.setAttribute("aria-label", `${name} over ${[x.name, y ? y.name : null].filter(Boolean).join(" and ")}, from ${short(extremes(source)[0])} to ${short(extremes(source)[1])}`);
    const figure = y ? {
      type: "heatmap", x: xs, y: y.labels.map((label) => plain(label)), z: grid.map((line) => line.map(shownValue)), customdata: grid, hoverongaps: false, colorscale: "Viridis",
      colorbar: { thickness: 12, outlinewidth: 0, title: { text: own.log ? "log₁₀" : "" } }, hovertemplate: `${plain(x.name)} = %{x}<br>${plain(y.name)} = %{y}<br>${plain(name)} = %{customdata:.10g}<extra></extra>`,
    } : { type: "scatter", mode: "lines+markers", x: xs, y: grid[0].map((value) => (own.log && !(value > 0) ? null : value)), line: { color: COLORS[0] }, hovertemplate: `${plain(x.name)} = %{x}<br>${plain(name)} = %{y:.10g}<extra></extra>` };
    const here = y ? [{ type: "rect", xref: "x", yref: "y", x0: own.at[own.x] - 0.5, x1: own.at[own.x] + 0.5, y0: own.at[own.y] - 0.5, y1: own.at[own.y] + 0.5, line: { color: "#c00000", width: 2 } }] : [];
    Plotly.react(plot, [figure], layout({
      title: { text: plain([name, ...rest].join(", ")), font: { size: 13 } }, margin: { l: 70, r: 20, t: 40, b: 50 }, shapes: here,
      xaxis: { type: "category", title: { text: plain(x.name) }, showgrid: !y }, yaxis: y ? { type: "category", title: { text: plain(y.name) }, showgrid: false } : { type: own.log ? "log" : "linear", title: { text: plain(name) } },
    }), CONFIG);
    if (!plot.linked) {
      plot.linked = true;
      plot.on("plotly_click", (event) => {
        const [one] = event.points, [i, j] = Array.isArray(one.pointIndex) ? one.pointIndex : [0, one.pointIndex];
        own.at[own.x] = j;
        if (own.y !== null) own.at[own.y] = i;
        sweep.axes.forEach((_, k) => { document.getElementById(id(`at-${k}`)).value = String(own.at[k]); });
        draw(); open();
      });
    }
  }

  function open() {
    const at = flat(own.at), title = sweep.axes.map((one, i) => `${one.name} = ${one.labels[own.at[i]]}`).join(", ");
    const rows = sweep.values.map((one, k) => make("tr", {}, make("th", { scope: "row" }, one.name), make("td", {}, short(values(k)[at], 10))));
    const head = make("h4", {}, title), folder = sweep.folders ? sweep.folders[at] : null, status = sweep.status ? sweep.status[at] : null;
    const links = folder ? make("p", {}, make("a", { href: folder + "/report.html" }, "report of this member"), ` (${folder})`) : null;
    const curve = make("div", { class: "plot", role: "img", "aria-label": `curve of the member ${title}` });
    detail.replaceChildren(...[head, status ? make("p", {}, `status: ${status}`) : null, links, make("table", {}, make("tbody", {}, ...rows)), sweep.curves.length ? curve : null].filter(Boolean));
    if (!sweep.curves.length) return;
    const chosen = sweep.curves.find((one) => one.name === "loss") || sweep.curves[0], times = data.numbers(sweep.times), count = product(sweep.axes.map((one) => one.labels.length));
    const y = Array.from(times, (_, row) => data.numbers(chosen.place)[row * count + at]), log = y.every((value) => value > 0);
    Plotly.react(curve, [{ x: Array.from(times, (t) => (t > 0 ? t : NaN)), y, mode: "lines", line: { color: COLORS[0] }, hovertemplate: "t = %{x:.6g}<br>%{y:.12g}<extra></extra>" }], layout({ xaxis: { type: "log", title: { text: "time t" } }, yaxis: { type: log ? "log" : "linear", title: { text: plain(chosen.name) } } }), CONFIG);
  }

  const rowsOf = () => {
    const rows = [[...axisNames, sweep.values[own.value].name]], source = values(own.value);
    for (let k = 0; k < source.length; k++) rows.push([...sweep.axes.map((one, i) => one.labels[Math.floor(k / strides[i]) % one.labels.length]), source[k]]);
    return rows;
  };
  const head = make("h3", {}, sweep.name, exporting(plot, sweep.name, rowsOf));
  const panel = make("section", { class: "panel sweep", id: id("panel") }, head, controls, plot, members, detail);
  panel.draw = () => { draw(); open(); };
  return panel;
}
