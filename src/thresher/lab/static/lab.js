// The little that the pages do in the browser: sliders beside their boxes, charts from their data, downloads, copying.
"use strict";

const $$ = (selector, root = document) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
const SAID_MS = 10000;
let silence;
function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { said.textContent = ""; }, SAID_MS);
}

// ---- sliders: a slider moves the box beside it, whose number is what the form sends ----

const STEPS = 1000, MANY = 1e7;
function valueAt(slider) {
  const { low, high, log, none } = slider.dataset, place = Number(slider.value);
  if (none === "1" && place === STEPS) return "none";
  const share = place / (none === "1" ? STEPS - 1 : STEPS), [a, b] = [Number(low), Number(high)];
  const value = log === "1" ? a * (b / a) ** share : a + (b - a) * share;
  const box = document.getElementById(slider.dataset.for);
  const digits = Number(value.toPrecision(3));
  if (box.dataset.kind === "integer") return String(Math.round(digits));
  const brief = digits.toExponential().replace("+", ""), plain = String(digits);
  return digits >= MANY && brief.length < plain.length ? brief : plain;  // as the server writes it
}
function placeOf(slider, text) {
  const { low, high, log, none } = slider.dataset, [a, b] = [Number(low), Number(high)];
  if (text === "none" || text === "inf" || text === "Infinity") return STEPS;
  const value = Number(/^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text) ? text.replaceAll(",", "") : text);
  if (!Number.isFinite(value)) return null;
  const share = log === "1" ? Math.log(value / a) / Math.log(b / a) : (value - a) / (b - a);
  return Math.round(Math.min(1, Math.max(0, share)) * (none === "1" ? STEPS - 1 : STEPS));
}
function describe(slider) {
  const unit = slider.closest(".field")?.querySelector(".unit")?.textContent ?? "";
  const value = valueAt(slider);
  slider.setAttribute("aria-valuetext", value === "none" ? "no line" : `${value} ${unit}`.trim());
}
function setSlider(slider) {
  const box = document.getElementById(slider.dataset.for);
  const place = placeOf(slider, box.value.trim() || box.dataset.shown || "none");
  if (place !== null) slider.value = place;
  describe(slider);
}
document.addEventListener("input", (event) => {
  const slider = event.target.closest("input[type=range][data-for]");
  if (slider) {
    document.getElementById(slider.dataset.for).value = valueAt(slider);
    describe(slider);
  } else if (event.target.id) {
    $$(`input[type=range][data-for="${CSS.escape(event.target.id)}"]`).forEach(setSlider);
  }
}, true);

// ---- boxes of which one is given: what is entered in one clears the others, which then show what follows ----

document.addEventListener("input", (event) => {
  const field = event.target.closest("[data-one-of] .field");
  if (field) $$("input[type=text]", field.closest("[data-one-of]")).forEach((box) => { if (!field.contains(box)) box.value = ""; });
}, true);

// ---- the address: a step in history once a value is decided, none while a slider moves (see pages.follows) ----

document.addEventListener("htmx:configRequest", (event) => {
  const cause = event.detail.triggeringEvent;
  if (cause) event.detail.headers["Lab-Event"] = cause.type;
  if (cause?.target?.name) event.detail.headers["Lab-Changed"] = cause.target.name;
  const form = event.detail.elt.closest("form");
  if (form) for (const name of Object.keys(event.detail.parameters)) {
    if (event.detail.parameters[name] === "") delete event.detail.parameters[name];
  }
});
// htmx reports a request that a newer one replaces as an error; it is none. A true failure is reported once more, by its own name.
const report = console.error.bind(console);
console.error = (...what) => { if (!/^htmx:(sendAbort|afterRequest)/.test(String(what[0]))) report(...what); };
document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr } = event.detail;
  if (!(xhr?.status >= 400)) return;
  if (xhr.getResponseHeader("Content-Type")?.startsWith("text/plain")) say(xhr.responseText.slice(0, 400));  // a sentence
  else if (xhr.status !== 422) say(`The lab answered ${xhr.status}.`);
});
document.addEventListener("htmx:sendError", () => say("The lab does not answer: is it still running?"));

// ---- charts: a specification, the page's rows, the page's colours ----

const views = new WeakMap(), specs = new Map();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function theme() {
  const ink = colour("--ink"), faint = colour("--line"), quiet = colour("--quiet");
  return {
    background: null, font: "system-ui, sans-serif",
    axis: { labelColor: ink, titleColor: ink, gridColor: faint, domainColor: quiet, tickColor: quiet, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal", labelLimit: 220 },
    legend: { labelColor: ink, titleColor: ink, labelFontSize: 11, titleFontSize: 11, labelLimit: 260 },
    header: { labelColor: ink, titleColor: ink }, title: { color: ink, fontSize: 12, fontWeight: 600, anchor: "start" },
    text: { color: ink, fill: ink }, style: { ink: { stroke: ink } }, rule: { color: quiet }, view: { stroke: null }, mark: { color: colour("--one") },
    range: { category: ["--one", "--two", "--three", "--four", "--five", "--six", "--seven", "--eight"].map(colour) },
  };
}
async function specOf(address) {
  if (!specs.has(address)) {
    specs.set(address, fetch(address).then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${address}: ${answer.status}`)))));
    specs.get(address).catch(() => specs.delete(address));  // asked again next time
  }
  return structuredClone(await specs.get(address));
}
const dataOf = (figure) => JSON.parse(figure.querySelector("template.data").content.textContent);
async function draw(figure) {
  if (await takeOver(figure)) return;
  const spec = await specOf(figure.dataset.spec), plot = figure.querySelector(".plot");
  spec.datasets = dataOf(figure);
  spec.width ??= "container";
  spec.autosize ??= { type: "fit-x", contains: "padding" };
  spec.description ??= figure.querySelector("h3").textContent;
  const drawn = await vegaEmbed(plot, spec, { ast: true, actions: false, defaultStyle: false, tooltip: false, logLevel: 1, renderer: "svg", config: theme() });
  views.get(figure)?.finalize();
  views.set(figure, drawn.view);
  // where a mark carries an address, a click on it, or Enter, goes there
  drawn.view.addEventListener("click", (_event, item) => {
    const to = item?.datum?.href;
    if (typeof to === "string" && to.startsWith("/")) window.location.assign(to);
  });
  // a mark without a description of its own (a rule, a band) says nothing to a screen reader, and is not announced
  $$('[role="graphics-symbol"]:not([aria-label])', plot).forEach((mark) => mark.setAttribute("aria-hidden", "true"));
  figure.dataset.drawn = "1";
}
// a chart of the answer before, with the same specification, goes on in the new one: nothing flickers, and it is quicker
const former = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  former.clear();
  $$("figure.chart", event.detail.target).forEach((figure) => { if (views.has(figure)) former.set(figure.id, figure); });
});
async function takeOver(figure) {
  const old = former.get(figure.id), view = old && views.get(old);
  if (!view || old === figure || old.dataset.spec !== figure.dataset.spec) return false;
  former.delete(figure.id);
  views.delete(old);
  views.set(figure, view);
  figure.querySelector(".plot").replaceWith(old.querySelector(".plot"));
  await put(view, figure);
  figure.dataset.drawn = "1";
  return true;
}
document.addEventListener("htmx:afterSettle", () => former.forEach((old) => { if (!old.isConnected) views.get(old)?.finalize(); }));
function put(view, figure) {
  for (const [name, rows] of Object.entries(dataOf(figure))) try { view.data(name, rows); } catch { /* only for the downloads */ }
  return view.runAsync();
}
// newer rows for a chart that stands already: it changes in place
function renew(newer) {
  const figure = document.getElementById(newer.dataset.chart), view = figure && views.get(figure);
  if (!figure) return;
  figure.querySelector("template.data").innerHTML = newer.innerHTML;
  figure.querySelector("details.rows .scroll")?.replaceChildren(...(figure.querySelector("details.rows")?.open ? [table(figure)] : []));
  if (view) put(view, figure);
}
const drawAll = (root) => $$("figure.chart", root).forEach((figure) => draw(figure).catch((error) => { console.error(error); }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(document));

// ---- taking things along ----

function save(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
const columnsOf = (rows) => [...new Set(rows.flatMap(Object.keys))].filter((name) => name !== "href");
function csvOf(rows) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;  // no formula for a spreadsheet
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const columns = columnsOf(rows);
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
// not canvas.toBlob: Chromium now and then never calls back
const pictureOf = (address) => new Blob([Uint8Array.from(atob(address.split(",")[1]), (one) => one.charCodeAt(0))], { type: "image/png" });
async function take(figure, form) {
  const name = figure.dataset.name, view = views.get(figure);
  if (form === "csv") return save(`${name}.csv`, new Blob([csvOf(dataOf(figure).rows)], { type: "text/csv" }));
  const paper = view.background();
  await view.background(colour("--paper")).runAsync();
  if (form === "svg") save(`${name}.svg`, new Blob([await view.toSVG()], { type: "image/svg+xml" }));
  else save(`${name}.png`, pictureOf(await view.toImageURL("png", 2)));
  await view.background(paper).runAsync();
}
function table(figure) {
  const rows = dataOf(figure).rows, columns = columnsOf(rows), found = document.createElement("table");
  const row = (tag, texts) => { const tr = document.createElement("tr"); texts.forEach((text) => { const cell = document.createElement(tag); cell.textContent = text ?? ""; tr.append(cell); }); return tr; };
  found.append(row("th", columns));
  rows.forEach((one) => found.append(row("td", columns.map((name) => (typeof one[name] === "number" ? Number(one[name].toPrecision(6)) : one[name])))));
  return found;
}
document.addEventListener("click", (event) => {
  const taken = event.target.closest("[data-take]"), copied = event.target.closest("[data-copy], [data-copies]");
  if (taken) take(taken.closest("figure"), taken.dataset.take).catch((error) => console.error(error));
  const words = copied && (copied.dataset.copy ?? document.getElementById(copied.dataset.copies).textContent);
  if (copied) navigator.clipboard.writeText(words).then(() => say("Copied."), () => say("The browser does not let pages copy here; select the text."));
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("details.rows") && event.target.open) {
    const place = event.target.querySelector(".scroll");
    if (!place.firstChild) place.append(table(event.target.closest("figure")));
  }
}, true);

// ---- what follows from other fields: what a blank box stands for, and what is wrong with which ----

function follow(root) {
  $$("template.shown", root).forEach((data) => {
    for (const [id, { shown, disabled, help }] of Object.entries(JSON.parse(data.content.textContent))) {
      const box = document.getElementById(id);
      if (!box) continue;
      box.dataset.shown = box.placeholder = shown;
      const sliders = $$(`input[type=range][data-for="${CSS.escape(id)}"]`);
      [box, ...sliders].forEach((one) => { one.disabled = Boolean(disabled); });
      document.getElementById(id.replace(/^f-/, "h-")).textContent = disabled || help;
      sliders.forEach(setSlider);
    }
  });
}
function mark() {
  $$(".field").forEach((field) => {
    const wrong = Boolean(field.querySelector(".problem")?.textContent.trim()), box = field.querySelector("[name]");
    field.classList.toggle("wrong", wrong);
    if (wrong) box?.setAttribute("aria-invalid", "true"); else box?.removeAttribute("aria-invalid");
  });
}
function allRight(names) {
  for (const told of names.map((name) => document.getElementById(`p-${name}`))) if (told?.textContent) told.textContent = "";
  mark();
}
document.addEventListener("htmx:oobAfterSwap", mark);

// ---- a page, and parts of it that come later ----

function ready(root) {
  $$("template.newer", root).forEach(renew);
  $$("template.right", root).forEach((names) => allRight(JSON.parse(names.content.textContent)));
  follow(root);
  $$("input[type=range][data-for]", root).forEach(setSlider);
  drawAll(root);
}
// letting go of what was moved asks once more, for a step in history: an answer that stands already is left as it is
const standing = new WeakMap();
document.addEventListener("htmx:beforeSwap", (event) => {
  const { requestConfig, serverResponse, xhr } = event.detail, from = requestConfig.elt;
  if (xhr.status !== 200 || !from.matches("form")) return;
  if (standing.get(from) === serverResponse) event.detail.swapOverride = "none";
  standing.set(from, serverResponse);
});
// what stood open in an answer, a part or where a number comes from, stands open in the next
let open = [];
document.addEventListener("htmx:beforeSwap", (event) => { open = $$("details[id][open], [popover]:popover-open", event.detail.target).map((one) => one.id); });
document.addEventListener("htmx:afterSettle", () => {
  for (const one of open.map((id) => document.getElementById(id))) if (one?.popover) one.matches(":popover-open") || one.showPopover(); else one?.setAttribute("open", "");
  open = [];
});
document.addEventListener("htmx:load", (event) => ready(event.detail.elt));
