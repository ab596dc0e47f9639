"use strict";
document.documentElement.classList.add("js");

// Tables: a click or Enter on a heading sorts by it, the other way round, then as it was.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const original = [...body.rows];
  if (original.filter(row => !row.classList.contains("heading")).length < 2) continue;
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.dataset.kind === "number" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const now = head.getAttribute("aria-sort");
      const next = now === null ? first : now === first ? second : null;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      body.replaceChildren(...(next === null ? original : sorted(original, index, head.dataset.kind, next)));
      if (next !== null) head.setAttribute("aria-sort", next);
    });
  });
}

function sorted(rows, index, kind, order) {
  const sign = order === "ascending" ? 1 : -1;
  const key = row => row.cells[index].dataset.key ?? row.cells[index].textContent;
  // Rows without a value stand last in either order.
  const full = rows.filter(row => !row.classList.contains("heading") && key(row) !== "");
  const empty = rows.filter(row => !row.classList.contains("heading") && key(row) === "");
  const compare = kind === "number"
    ? (a, b) => Number(key(a)) - Number(key(b))
    : (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
  return [...full.sort((a, b) => sign * compare(a, b)), ...empty];
}

// Sliders between two pictures.
for (const figure of document.querySelectorAll(".slider")) {
  const over = figure.querySelector(".over");
  const input = figure.querySelector("input");
  const show = () => { over.style.clipPath = `inset(0 ${100 - Number(input.value)}% 0 0)`; };
  input.addEventListener("input", show);
  show();
}

// Maps.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#B8A800"];
// The same hues, light enough to be seen on a dark ground.
const LIGHT = ["#4FA8E0", "#F28A4B", "#35C69B", "#E3A3C5", "#F2BC4A", "#8CCBF2", "#B5B5B5", "#DACB3E"];
const DARK_GROUND = matchMedia("(prefers-color-scheme: dark)");
const SVG = "http://www.w3.org/2000/svg";
const SIDE = 640, RIM = 24, LEAST = 160;

function polygon(corners, turn, inner) {
  const count = inner ? 2 * corners : corners;
  const points = [];
  for (let i = 0; i < count; i++) {
    const angle = turn + 2 * Math.PI * i / count;
    const radius = inner && i % 2 ? inner : 1.2;
    points.push(`${(radius * Math.sin(angle)).toFixed(3)},${(-radius * Math.cos(angle)).toFixed(3)}`);
  }
  return `M${points.join("L")}Z`;
}
const CIRCLE = "M-1,0A1,1 0 1 0 1,0A1,1 0 1 0 -1,0Z";
const CROSS = "M-.4,-1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z";
const MARKS = [
  CIRCLE, polygon(4, Math.PI / 4), polygon(3, 0), polygon(4, 0), polygon(3, Math.PI), CROSS, polygon(4, Math.PI / 4, .45),
  polygon(5, 0, .55), polygon(3, -Math.PI / 2), polygon(3, Math.PI / 2), polygon(5, 0), polygon(6, 0), polygon(6, Math.PI / 6),
];

function mark(value, x, y, size) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", value < 0 ? CIRCLE : MARKS[value % MARKS.length]);
  path.setAttribute("fill", value < 0 ? "#9a9a9a" : (DARK_GROUND.matches ? LIGHT : COLOURS)[value % COLOURS.length]);
  path.setAttribute("transform", `translate(${x} ${y}) scale(${size})`);
  return path;
}

for (const place of document.querySelectorAll(".maps")) {
  const data = JSON.parse(place.querySelector("script").textContent);
  const which = place.querySelector(".which"), by = place.querySelector(".by");
  const plot = place.querySelector(".map > svg"), legend = place.querySelector(".legend");
  const picture = place.querySelector(".shown img"), text = place.querySelector(".shown p");
  let drawn = [], hidden = new Set(), current = null, wide = SIDE, tall = SIDE;

  const option = (select, title, value) => {
    const made = document.createElement("option");
    made.textContent = title;
    made.value = value;
    select.append(made);
  };
  const choose = () => {
    const map = data.maps[which.value], kept = by.selectedIndex >= 0 ? by.options[by.selectedIndex].textContent : "";
    by.replaceChildren();
    const colourings = data.datasets[map.dataset].colourings;
    colourings.forEach((one, index) => option(by, one.name, index));
    by.value = Math.max(0, colourings.findIndex(one => one.name === kept));
    hidden = new Set();
    draw();
  };
  const draw = () => {
    const map = data.maps[which.value], images = data.datasets[map.dataset], colouring = images.colourings[by.value];
    const bytes = Uint8Array.from(atob(map.points), letter => letter.charCodeAt(0));
    const numbers = new DataView(bytes.buffer), size = Math.min(6, Math.max(2.4, 90 / Math.sqrt(bytes.length / 6)));
    plot.replaceChildren();
    plot.setAttribute("aria-label", `${map.title}: each mark is an image`);
    drawn = [];
    current = null;
    // Both axes have one scale, so the frame takes the shape of the map.
    const at = (offset, from) => numbers.getUint16(from + offset, true) / 65535 * (SIDE - 2 * RIM);
    let right = 0, top = 0;
    for (let from = 0; from < bytes.length; from += 6) {
      right = Math.max(right, at(2, from));
      top = Math.max(top, at(4, from));
    }
    wide = Math.max(LEAST, right + 2 * RIM);
    tall = Math.max(LEAST, top + 2 * RIM);
    plot.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    plot.style.maxWidth = `${wide / SIDE * 40}rem`;
    for (let from = 0; from < bytes.length; from += 6) {
      const image = numbers.getUint16(from, true), value = colouring.values[image];
      const x = (wide - right) / 2 + at(2, from), y = (tall + top) / 2 - at(4, from);
      const path = mark(value, x.toFixed(1), y.toFixed(1), size);
      path.setAttribute("fill-opacity", "0.85");
      drawn.push({ image, value, x, y, path });
      plot.append(path);
    }
    key(colouring);
    text.textContent = "Point at a mark to see its image. With the keyboard: focus the map, then the arrow keys."
      + (map.closed ? " Wide gaps between far groups are closed; the figures beside this page show them." : "");
    picture.hidden = true;
  };
  const key = colouring => {
    legend.replaceChildren();
    const counts = new Map();
    drawn.forEach(point => counts.set(point.value, (counts.get(point.value) || 0) + 1));
    const names = [...colouring.names.entries(), [-1, "none of these"]];
    for (const [value, name] of names) {
      if (!counts.has(value)) continue;
      const button = document.createElement("button"), sign = document.createElementNS(SVG, "svg");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      sign.setAttribute("viewBox", "-1.5 -1.5 3 3");
      sign.setAttribute("aria-hidden", "true");
      sign.append(mark(value, 0, 0, 1));
      button.append(sign, `${name}  ${counts.get(value)}`);
      button.addEventListener("click", () => {
        hidden.has(value) ? hidden.delete(value) : hidden.add(value);
        button.setAttribute("aria-pressed", String(!hidden.has(value)));
        drawn.forEach(point => point.path.setAttribute("visibility", hidden.has(point.value) ? "hidden" : "visible"));
      });
      legend.append(button);
    }
  };
  const show = point => {
    const map = data.maps[which.value], images = data.datasets[map.dataset], colouring = images.colourings[by.value];
    if (current) current.path.classList.remove("current");
    current = point;
    point.path.classList.add("current");
    plot.append(point.path);
    const thumbnail = images.thumbnails[point.image];
    picture.hidden = thumbnail === undefined;
    if (thumbnail !== undefined) picture.src = thumbnail;
    picture.alt = images.ids[point.image];
    const value = point.value < 0 ? "none of these" : colouring.names[point.value];
    text.textContent = `${images.ids[point.image]} — ${value}${thumbnail === undefined ? " (no picture of it in this file)" : ""}`;
  };
  const nearest = (x, y, most) => {
    let found = null, least = most * most;
    for (const point of drawn) {
      if (hidden.has(point.value)) continue;
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance < least) { least = distance; found = point; }
    }
    return found;
  };
  plot.addEventListener("pointermove", event => {
    const box = plot.getBoundingClientRect();
    const point = nearest((event.clientX - box.left) / box.width * wide, (event.clientY - box.top) / box.height * tall, 20);
    if (point && point !== current) show(point);
  });
  plot.addEventListener("keydown", event => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const from = current || nearest(wide / 2, tall / 2, 2 * SIDE);
    if (!from) return;
    // The nearest mark within a quarter turn of the arrow.
    let found = from, least = Infinity;
    for (const point of drawn) {
      const dx = point.x - from.x, dy = point.y - from.y, along = dx * way[0] + dy * way[1];
      const across = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
      if (point === from || hidden.has(point.value) || along <= 0 || across > along) continue;
      if (along + across < least) { least = along + across; found = point; }
    }
    show(current ? found : from);
  });
  plot.setAttribute("tabindex", "0");
  data.maps.forEach((map, index) => option(which, map.title, index));
  which.addEventListener("change", choose);
  by.addEventListener("change", () => { hidden = new Set(); draw(); });
  DARK_GROUND.addEventListener("change", draw);
  place.hidden = false;
  choose();
}
