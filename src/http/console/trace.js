// Trace: what becomes of the events of one username, channel or connection, and where those end that do not arrive.

import { byId, cell, make, show } from "./elements.js";
import { fetchJson } from "./fetch.js";
import { bytes, clock, some, span } from "./numbers.js";

const PERIOD_MS = 500;
const LINES_MAX = 300;
/** After so long without an event it is said what that means. */
const QUIET_MS = 2000;

/** What each kind of record means: a sentence, and whether it is good or bad news. */
const MEANINGS = {
  received: ({ followers }) =>
    followers ? [`came from the broker, for ${some(followers, "connection")}`] : ["came from the broker, and nobody of that name is connected here", "bad"],
  dropped: ({ reason }) => [`cannot be delivered: ${reason}`, "bad"],
  matched: ({ followers }) => [`at the shard of ${some(followers, "follower")}`],
  written: () => ["the kernel has it", "good"],
  waits: ({ queued_frames: frames, queued_bytes: queued }) => [`waits: ${some(frames, "frame")}, ${bytes(queued)} for a client that takes no more`, "warn"],
  own: () => ["its own: a sender does not get what it sends"],
  missed: ({ frames }) => [`${some(frames, "frame")} dropped: it reads too slowly`, "bad"],
  caught_up: () => ["has everything that waited", "good"],
  here: ({ address, age_ms: age }) => [`listens, from ${address}, for ${span(age)}`],
  closed: ({ code }) => [`closed with ${code}`, "bad"],
  left: () => ["follows it no more"],
  gap: () => ["the broker was away: nobody knows what was missed", "bad"],
};

export class Trace {
  #body = byId("trace-rows");
  #query = null;
  #cursor = "";
  #quietSince = 0;

  constructor() {
    byId("trace-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#query) this.#stop("stopped");
      else this.#start();
    });
    byId("trace-clear").addEventListener("click", () => this.#body.replaceChildren());
  }

  #start() {
    this.#query = { [byId("trace-kind").value]: byId("trace-name").value };
    this.#cursor = "";
    this.#quietSince = performance.now();
    show(byId("trace"), "Stop");
    this.#follow(this.#query);
  }

  #stop(why) {
    this.#query = null;
    show(byId("trace"), "Trace");
    show(byId("trace-state"), why);
  }

  /** Looks again and again, until somebody stops that or begins another. */
  async #follow(query) {
    while (this.#query === query) {
      const { status, body } = await fetchJson(`/admin/trace?${new URLSearchParams({ ...query, cursor: this.#cursor })}`);
      if (this.#query !== query) return;
      if (status === 200) this.#show(body);
      else if (status !== 0) {
        const refusal = `${body?.error ?? `the server answers ${status}`}${body?.hint ? `: ${body.hint}` : ""}`;
        if (status < 500) return this.#stop(refusal);
        show(byId("trace-state"), refusal);
      }
      await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    }
  }

  #show({ cursor, following, skipped, broker, records }) {
    this.#cursor = cursor;
    if (records.some(({ what }) => what === "received" || what === "matched")) this.#quietSince = performance.now();
    for (const record of records) this.#body.prepend(this.#line(record));
    while (this.#body.children.length > LINES_MAX) this.#body.lastElementChild.remove();
    const here = following ? `${some(following, "connection")} here` : "nobody of that name is connected here";
    const quiet = performance.now() - this.#quietSince > QUIET_MS ? "; the broker gives this server no such event" : "";
    const source = broker.connected ? quiet : "; the broker is not connected";
    show(byId("trace-state"), `${here}${source}${skipped ? `; ${some(skipped, "record")} left out` : ""}`);
  }

  #line(record) {
    const [meaning, level = ""] = (MEANINGS[record.what] ?? (() => [record.what]))(record);
    const where = record.connection ?? (record.node === "broker" ? "broker" : `shard ${record.node}`);
    const took = record.took_us === undefined ? "" : span(record.took_us / 1000);
    const name = record.event ? make("span", { className: "meaning", textContent: `${record.event} ` }) : "";
    const event = make("td", { className: "event" }, name, record.preview ?? "");
    const line = make("tr", {}, cell("time", clock(new Date(record.at_us / 1000))), cell("what", meaning), cell("where", where), event, cell("number", took));
    line.dataset.level = level;
    return line;
  }
}
