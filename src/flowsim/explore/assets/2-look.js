// Colors of Okabe and Ito (2008), the same as in flowsim's figures, then what is far from them.
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7f3c8d", "#8a8a00", "#a55194", "#3969ac", "#b22222", "#4d4d4d"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const ONE_SIGN = [[0, "#ffffff"], [0.33, "#9CC9E3"], [0.67, "#0072B2"], [1, "#002B45"]];
const TWO_SIGNS = [[0, "#7A3000"], [0.25, "#D55E00"], [0.5, "#ffffff"], [0.75, "#0072B2"], [1, "#002B45"]];

function theme() {
  const css = getComputedStyle(document.documentElement);
  const of = (name) => css.getPropertyValue(name).trim();
  return { text: of("--text"), soft: of("--soft"), line: of("--line"), ground: of("--ground") };
}

function axis(look, more) {
  return { color: look.soft, gridcolor: look.line, linecolor: look.line, zeroline: false, automargin: true, exponentformat: "power", ...more };
}

function layout(more) {
  const look = theme();
  return {
    paper_bgcolor: look.ground, plot_bgcolor: look.ground, margin: { l: 62, r: 14, t: 26, b: 44 },
    font: { family: "system-ui, sans-serif", size: 12, color: look.text }, hovermode: "closest", showlegend: false,
    legend: { orientation: "h", y: -0.24, font: { size: 11 } },
    ...more, xaxis: axis(look, more.xaxis), yaxis: axis(look, more.yaxis),
  };
}

const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, showTips: false };

function exporting(plot, name, rows) {
  const file = name.replace(/[^A-Za-z0-9_.-]+/g, "_") || "figure";
  // What is seen, and a legend, which the page has beside the plot.
  const figure = () => ({ data: plot.data, layout: { ...plot.layout, showlegend: plot.data.filter((one) => one.name).length > 1, title: { text: plain(name), font: { size: 13 } } } });
  const image = (format) => () => Plotly.downloadImage(figure(), { format, filename: file, width: plot.clientWidth, height: plot.clientHeight, scale: format === "png" ? 2 : 1 });
  const button = (text, what) => make("button", { type: "button", "aria-label": `${text} of ${name}`, onclick: what }, text);
  return make("span", { class: "export" }, button("PNG", image("png")), button("SVG", image("svg")), button("CSV", () => save(file + ".csv", csv(rows()))));
}

function csv(rows) {
  // A cell that starts like a formula is text for a spreadsheet, not a program.
  const cell = (value) => {
    if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
    const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function save(name, text) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
