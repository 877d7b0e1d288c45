// A plot of one to five minutes, as SVG: the newest on the right, the scale from 0 to a round number above the highest.

import { WINDOW } from "./history.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;
/** Room for half a line above and below. */
const EDGE = 2;
/** Seconds that are shown at least: a page that was just opened does not stretch its first few. */
const WINDOW_MIN = 60;

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** The smallest round number that is not below. */
function roundUp(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value) * power;
}

export class Plot {
  /** The value at the top of the scale. */
  scale = 1;
  #line = svg("path", { class: "line" });
  #area = svg("path", { class: "area" });
  #cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  #window = WINDOW_MIN;

  constructor() {
    // One unit is one second, whatever the width: strokes do not scale (SVG 2 §13.7).
    this.element = svg("svg", { class: "plot", preserveAspectRatio: "none", role: "img" });
    for (const y of [0, HEIGHT / 2, HEIGHT]) this.element.append(svg("line", { class: "grid", x1: 0, x2: WINDOW, y1: y, y2: y }));
    this.element.append(this.#area, this.#line, this.#cursor);
  }

  /** Draws what a `History` says. */
  draw(points) {
    this.scale = roundUp(Math.max(0, ...points.map(({ value }) => value)));
    this.#window = Math.min(WINDOW, Math.max(WINDOW_MIN, points[0]?.age ?? 0));
    this.element.setAttribute("viewBox", `0 ${-EDGE} ${this.#window} ${HEIGHT + 2 * EDGE}`);
    const runs = [];
    for (const point of points) {
      if (point.age > this.#window) continue;
      const place = [this.#window - point.age, HEIGHT - (point.value / this.scale) * HEIGHT].map((number) => number.toFixed(1));
      if (point.joined && runs.length) runs.at(-1).push(place);
      else runs.push([place]);
    }
    const path = (run) => `M${run.map((place) => place.join(" ")).join("L")}`;
    const closed = (run) => `${path(run)}L${run.at(-1)[0]} ${HEIGHT}L${run[0][0]} ${HEIGHT}Z`;
    this.#line.setAttribute("d", runs.map(path).join(""));
    this.#area.setAttribute("d", runs.map(closed).join(""));
  }

  /** Says in words what is drawn. */
  describe(text) {
    this.element.setAttribute("aria-label", text);
  }

  /** Marks the place of so many seconds ago; `null` for none. */
  point(age) {
    this.#cursor.setAttribute("visibility", age === null ? "hidden" : "visible");
    for (const end of ["x1", "x2"]) this.#cursor.setAttribute(end, this.#window - age);
  }

  /** Calls with the seconds ago that the pointer is over, and with `null` when it leaves. */
  onPoint(call) {
    this.element.addEventListener("pointermove", ({ clientX }) => {
      const { left, width } = this.element.getBoundingClientRect();
      call(Math.round((1 - (clientX - left) / width) * this.#window));
    });
    this.element.addEventListener("pointerleave", () => call(null));
  }
}
