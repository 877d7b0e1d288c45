// The connections: who follows what from where, whose socket is behind, and a way to end one.

import { byId, cell, make, Rows, show } from "./elements.js";
import { fetchJson } from "./fetch.js";
import { bytes, span, whole } from "./numbers.js";
import { Pane } from "./pane.js";

const SHOWN_MAX = 100;
/** Topics that a line names. */
const TOPICS_MAX = 3;
/** How long the first press on a button waits for the second. */
const ARMED_MS = 4000;
/** What the kernel says a late one waits for. */
const WAITS = { client: ", does not read", network: ", network" };
/** Between the last key in the filter and the question. */
const TYPING_MS = 250;

export class Connections {
  #families;
  #pane;
  #typing = 0;
  #rows = new Rows(byId("connection-rows"), (id) => new ConnectionRow(id, this.#families, () => this.#disconnect(id)));

  constructor(families) {
    this.#families = families;
    this.#pane = new Pane(byId("connections"), () => this.#path(), (body) => this.#show(body));
    families.onChange(() => {
      this.#rows.show([]);
      this.#pane.ask();
    });
    byId("connections-form").addEventListener("submit", (event) => event.preventDefault());
    byId("connections-sort").addEventListener("change", () => this.#pane.ask());
    byId("connections-filter").addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#pane.ask(), TYPING_MS);
    });
  }

  #path() {
    const query = new URLSearchParams({ filter: byId("connections-filter").value, sort: byId("connections-sort").value, limit: SHOWN_MAX, tcp: 1 });
    return `/admin/connections?${query}`;
  }

  #show({ matched, connections }) {
    this.#rows.show(connections.map((connection) => [connection.id, connection]));
    const isFiltered = byId("connections-filter").value !== "";
    const hidden = matched - connections.length;
    show(byId("connections-none"), connections.length ? "" : isFiltered ? "Nobody matches." : "Nobody is connected.");
    show(byId("connections-hint"), `${whole(matched)}${isFiltered ? " match" : ""}${hidden > 0 ? `, ${whole(connections.length)} shown` : ""}`);
  }

  async #disconnect(connection) {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ connection }) };
    const { status, body } = await fetchJson("/admin/disconnect", options);
    const done = status === 200 ? (body.closed ? "Disconnected with 4002." : "It had left already.") : `Not disconnected: ${body?.error ?? "no answer"}.`;
    show(byId("connections-said"), done);
    this.#pane.ask();
  }
}

/** One line of the table. */
class ConnectionRow {
  #head = make("th", { scope: "row" });
  #cells;
  #whom = make("span", { className: "unseen" });
  #press = make("span", { textContent: "Disconnect" });
  #button = make("button", { type: "button", className: "quiet danger" }, this.#press, this.#whom);
  #families;
  #follows = null;
  #armed = 0;

  constructor(id, families, disconnect) {
    this.#families = families;
    this.#cells = ["address", "number spare", "number spare", "number", "number"].map((className) => cell(className));
    this.element = make("tr", { title: id }, this.#head, ...this.#cells, make("td", { className: "action" }, this.#button));
    this.element.dataset.connection = id;
    this.#button.addEventListener("click", () => {
      if (!this.#armed) return this.#arm();
      this.#disarm();
      disconnect();
    });
    this.#button.addEventListener("blur", () => this.#disarm());
  }

  update(connection) {
    this.#name(connection);
    const { address, shard, age_ms: age, queued_bytes: queued, late_ms: late, tcp } = connection;
    const waits = WAITS[tcp?.waits_for] ?? "";
    const texts = [address, whole(shard), span(age), queued ? bytes(queued) : "–", late === null ? "–" : `${span(late)}${waits}`];
    texts.forEach((text, column) => show(this.#cells[column], text));
    this.element.dataset.level = late === null ? "" : "warn";
    const kernel = ({ round_trip_us: trip, unacked, notsent_bytes: unsent, retransmits }) =>
      `round trip ${span(trip / 1000)}, ${unacked} packets unacknowledged, ${bytes(unsent)} unsent, ${retransmits} retransmits`;
    this.#cells.at(-1).title = tcp ? kernel(tcp) : "";
  }

  /** Says what it follows, where that has changed. */
  #name({ id, topics, topics_total: all }) {
    const follows = JSON.stringify([topics, all]);
    if (this.#follows === follows) return;
    this.#follows = follows;
    const shown = topics.slice(0, TOPICS_MAX);
    const names = shown.flatMap((topic) => [make("span", { className: "entry" }, ...this.#families.label(topic)), " "]);
    const more = all > shown.length ? [make("span", { className: "meaning", textContent: `and ${whole(all - shown.length)} more` })] : [];
    const nothing = make("span", { className: "meaning", textContent: "nothing" });
    this.#head.replaceChildren(...(all ? [...names, ...more] : [nothing]));
    this.#head.title = topics.join("\n");
    show(this.#whom, ` ${id}, which follows ${this.#head.textContent}`);
  }

  /** The first press asks, the second one does it: whoever is disconnected does not come back by itself. */
  #arm() {
    this.#armed = setTimeout(() => this.#disarm(), ARMED_MS);
    this.#button.classList.add("armed");
    show(this.#press, "Really?");
  }

  #disarm() {
    clearTimeout(this.#armed);
    this.#armed = 0;
    this.#button.classList.remove("armed");
    show(this.#press, "Disconnect");
  }
}
