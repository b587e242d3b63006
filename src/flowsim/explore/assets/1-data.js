// Reading what the page carries: gzip in base64, because that holds no character that could end a script element.
async function unpacked(id) {
  const text = atob(document.getElementById(id).textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// A length, a JSON document, and float64 arrays that the document names as [first, count].
function decoded(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const document_ = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const numbers = new Float64Array(buffer, 8 + 8 * Math.ceil(length / 8));
  document_.numbers = (place) => numbers.subarray(place[0], place[0] + place[1]);
  return document_;
}

// Plotly reads a small part of HTML in its labels: a user's text must not be any of it.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function short(value, digits = 6) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(digits)));
}

// A number with the digits that its uncertainty allows.
function measured(value, error) {
  if (value === null || value === undefined) return "never";
  if (!(error > 0)) return short(value, 12);
  const digits = error < Math.abs(value) ? Math.ceil(Math.log10(Math.abs(value) / error)) : 1;
  return short(value, Math.min(Math.max(digits, 2), 15)) + " ± " + error.toExponential(0);
}

// An element with attributes and children; texts become text nodes and nothing else.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function nearest(times, wanted) {
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= wanted) low = middle; else high = middle;
  }
  return Math.abs(times[high] - wanted) < Math.abs(times[low] - wanted) ? high : low;
}

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

// Labels of every entry of a probe, in the order of its numbers.
function entries(series) {
  let found = [""];
  for (const dim of series.dims) {
    const next = [];
    for (const before of found) for (const label of dim.labels) next.push((before ? before + ", " : "") + dim.name + " " + label);
    found = next;
  }
  return found;
}

function column(series, entry, numbers) {
  const count = product(series.dims.map((dim) => dim.labels.length));
  const rows = numbers.length / count, values = new Float64Array(rows);
  for (let row = 0; row < rows; row++) values[row] = numbers[row * count + entry];
  return values;
}
