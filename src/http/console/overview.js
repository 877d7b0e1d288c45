// The overview: the six numbers that matter with their plots, and the table of shards.

import { byId, cell, make, Rows, show } from "./elements.js";
import { countsOf, TOTAL } from "./history.js";
import { bytes, count, some, span, sum, whole } from "./numbers.js";
import { Plot } from "./plot.js";

const eventsSoFar = (counts, { events_in: events, events_unfollowed: unfollowed }, scope) =>
  scope !== TOTAL ? `${count(counts.messages_in)} since the start`
  : `${count(events)} since the start${unfollowed > 0 ? `, ${count(unfollowed)} for nobody` : ""}`;

/** What each tile shows; `more` is the line below the number. */
const TILES = [
  { measure: "connections", title: "Connections", form: whole, unit: "", more: (counts) => `following ${some(counts.topics, "topic")}` },
  { measure: "events", title: "Events in", form: count, unit: "/s", more: eventsSoFar },
  { measure: "frames", title: "Frames out", form: count, unit: "/s", more: (counts) => `${count(counts.frames_out)} since the start` },
  { measure: "bytes", title: "Bytes out", form: bytes, unit: "/s", more: (counts) => `${bytes(counts.bytes_out)} since the start` },
  { measure: "late", title: "Late clients", form: whole, unit: "", more: (counts) => `${some(counts.frames_queued, "frame")} waiting, ${bytes(counts.bytes_queued)}` },
  { measure: "dropped", title: "Dropped", form: count, unit: "/s", more: (counts) => `${count(sum(counts.dropped))} since the start` },
];

export class Overview {
  /** What is looked at: all shards, or the number of one. */
  scope = TOTAL;
  #history;
  #pointed = null;
  #stats = null;
  #tiles;
  #shards = new Rows(byId("shard-rows"), (shard) => new ShardRow(shard));

  constructor(history) {
    this.#history = history;
    this.#tiles = TILES.map((kind) => new Tile(kind));
    byId("tiles").append(...this.#tiles.map((tile) => tile.element));
    for (const tile of this.#tiles) tile.plot.onPoint((age) => this.#point(age));
    byId("scope").addEventListener("change", ({ target }) => {
      this.scope = target.value === TOTAL ? TOTAL : Number(target.value);
      this.#draw();
    });
  }

  update(stats) {
    this.#stats = stats;
    this.#offer(stats.shards.length);
    this.#draw();
    this.#shards.show([...stats.shards.keys()].map((shard) => [shard, { counts: stats.shards[shard], history: this.#history }]));
  }

  /** Lists the shards to choose from, where there are others now. */
  #offer(shards) {
    const select = byId("scope");
    if (select.options.length === shards + 1) return;
    const option = (shard) => make("option", { value: shard, textContent: `shard ${shard}` });
    select.replaceChildren(select.options[0], ...Array.from({ length: shards }, (_, shard) => option(shard)));
    this.scope = TOTAL;
  }

  #point(age) {
    this.#pointed = age;
    this.#draw();
  }

  #draw() {
    if (!this.#stats) return;
    for (const tile of this.#tiles) tile.draw(this.#history, this.scope, this.#stats, this.#pointed);
  }
}

/** One number with its plot. */
class Tile {
  #kind;
  #value = make("span");
  #more = make("p", { className: "more" });
  #top = make("span", { className: "scale" });

  constructor(kind) {
    this.#kind = kind;
    this.plot = new Plot();
    const value = make("p", { className: "value" }, this.#value, make("small", { textContent: kind.unit }));
    const chart = make("div", { className: "chart" }, this.plot.element, this.#top);
    this.element = make("article", { className: "tile" }, make("h3", { textContent: kind.title }), value, this.#more, chart);
    this.element.dataset.measure = kind.measure;
  }

  draw(history, scope, stats, pointed) {
    const { measure, title, form, unit, more } = this.#kind;
    const points = history.series(scope, measure);
    this.plot.draw(points);
    this.plot.point(pointed);
    const now = history.latest(scope, measure);
    const text = now === undefined ? "–" : form(now);
    show(this.#value, text);
    show(this.#top, `${form(this.plot.scale)}${unit}`);
    const counts = countsOf(stats, scope);
    show(this.#more, pointed === null ? more(counts, stats.broker, scope) : this.#then(points, pointed));
    this.element.dataset.level = (measure === "late" || measure === "dropped") && now > 0 ? "warn" : "";
    const highest = Math.max(0, ...points.map(({ value }) => value));
    this.plot.describe(`${title}, the last minutes: now ${text}${unit}, at most ${form(highest)}${unit}`);
  }

  /** What was so many seconds ago. */
  #then(points, age) {
    const point = points.findLast((point) => point.age >= age - 0.5) ?? points[0];
    if (!point || Math.abs(point.age - age) > 2) return `${age} s ago: unknown`;
    return `${age} s ago: ${this.#kind.form(point.value)}${this.#kind.unit}`;
  }
}

/** One line of the table. */
class ShardRow {
  #shard;
  #plot = new Plot();
  #cells;

  constructor(shard) {
    this.#shard = shard;
    const [number, spare] = ["number", "number spare"];
    this.#cells = [number, spare, spare, number, spare, number, spare, number, spare].map((className) => cell(className));
    this.#plot.element.classList.add("spark");
    const head = make("th", { scope: "row", textContent: shard });
    this.element = make("tr", {}, head, ...this.#cells, make("td", { className: "spare" }, this.#plot.element));
  }

  update({ counts, history }) {
    const rate = (measure, form) => form(history.latest(this.#shard, measure) ?? 0);
    const texts = [
      whole(counts.connections), whole(counts.topics), rate("events", count), rate("frames", count), rate("bytes", bytes),
      whole(counts.late), bytes(counts.bytes_queued), whole(sum(counts.dropped)), counts.behind_ms > 0 ? span(counts.behind_ms) : "no",
    ];
    texts.forEach((text, column) => show(this.#cells[column], text));
    this.#plot.draw(history.series(this.#shard, "frames"));
    this.#plot.describe(`Frames per second of shard ${this.#shard}, the last minutes`);
  }
}
