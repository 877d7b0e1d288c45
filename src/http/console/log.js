// The log of both sides: what was published, what was received, and how long it took from one to the other.

import { byId, cell, make, show } from "./elements.js";
import { clock, span, whole } from "./numbers.js";

const LINES_MAX = 200;
/** Published events that may still come back. */
const PENDING_MAX = 200;
const TRIPS_MAX = 100;
/** Longer events show their beginning. */
const SHOWN_MAX = 500;

const ARROWS = { published: "→", received: "←" };

const shortened = (event) =>
  event.length > SHOWN_MAX ? `${event.slice(0, SHOWN_MAX)}… (${whole(event.length)} characters)` : event;

export class Log {
  #body = byId("log-rows");
  #pending = [];
  #trips = [];

  constructor() {
    byId("clear").addEventListener("click", () => this.#clear());
  }

  /** Notes an event that goes out; `key` finds it again. Returns what to call with what became of it. */
  published(where, event, key) {
    const at = performance.now();
    this.#pending.push({ where, key, at });
    if (this.#pending.length > PENDING_MAX) this.#pending.shift();
    const result = this.#line("published", where, event);
    return ({ failed, text }) => {
      show(result, failed ? text : `${text}, ${span(performance.now() - at)}`);
      if (failed) result.parentElement.dataset.level = "bad";
    };
  }

  /** Notes an event that came in. */
  received(where, event, key) {
    const now = performance.now();
    const place = this.#pending.findIndex((sent) => sent.where === where && sent.key === key);
    const result = this.#line("received", where, event);
    if (place < 0) return;
    const [{ at }] = this.#pending.splice(place, 1);
    show(result, span(now - at));
    this.#trips = [...this.#trips, now - at].slice(-TRIPS_MAX);
    const median = [...this.#trips].sort((a, b) => a - b)[Math.floor(this.#trips.length / 2)];
    show(byId("round-trips"), `round trip ${span(now - at)}, median ${span(median)} of ${this.#trips.length}`);
  }

  /** Notes anything else. */
  note(what, where, text, level = "") {
    this.#line(what, where, text).parentElement.dataset.level = level;
  }

  #line(what, where, event) {
    const result = cell("number");
    const name = `${ARROWS[what] ?? "·"} ${what}`;
    const line = make("tr", {}, cell("time", clock(new Date())), cell("what", name), cell("where", where), cell("event", shortened(event)), result);
    line.dataset.what = what;
    this.#body.prepend(line);
    if (this.#body.children.length > LINES_MAX) this.#body.lastElementChild.remove();
    byId("log-none").hidden = true;
    return result;
  }

  #clear() {
    this.#body.replaceChildren();
    this.#trips = [];
    show(byId("round-trips"), "");
    byId("log-none").hidden = false;
  }
}
