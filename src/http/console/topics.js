// The busiest topics.

import { byId, cell, make, Rows, show } from "./elements.js";
import { count, whole } from "./numbers.js";
import { Pane } from "./pane.js";

const PAGE = "/admin/topics?limit=20";

export class Topics {
  #families;
  #rows = new Rows(byId("topic-rows"), (topic) => new TopicRow(topic, this.#families));
  #before = null;

  constructor(families) {
    this.#families = families;
    const pane = new Pane(byId("topics"), () => PAGE, (body) => this.#show(body));
    families.onChange(() => {
      this.#rows.show([]);
      pane.ask();
    });
  }

  #show({ since_ms: since, topics }) {
    const rates = this.#rates(since, topics);
    const entries = topics.map((topic) => [topic.topic, { ...topic, rate: rates.get(topic.topic) }]);
    const busiest = Math.max(1e-9, ...rates.values());
    this.#rows.show(entries.map(([key, item]) => [key, { ...item, share: item.rate / busiest }]));
    show(byId("topics-none"), topics.length ? "" : "Nobody follows anything.");
  }

  /**
   * Events per second since the last look; at the first one, or where the server counts anew, since it counts. Nobody
   * knows when the events came of a topic that was not among the busiest before.
   */
  #rates(since, topics) {
    const isAnew = !this.#before || this.#before.since >= since;
    const seconds = (isAnew ? since : since - this.#before.since) / 1000;
    const before = ({ topic, events }) => (isAnew ? 0 : (this.#before.events.get(topic) ?? events));
    const rates = topics.map((topic) => [topic.topic, seconds > 0 ? Math.max(0, topic.events - before(topic)) / seconds : 0]);
    this.#before = { since, events: new Map(topics.map(({ topic, events }) => [topic, events])) };
    return new Map(rates);
  }
}

/** One line of the table. */
class TopicRow {
  #cells = [1, 2, 3].map(() => cell("number"));
  #bar = make("span", { className: "bar" });

  constructor(topic, families) {
    const head = make("th", { scope: "row", title: topic }, ...families.label(topic), this.#bar);
    this.element = make("tr", {}, head, ...this.#cells);
  }

  update({ followers, rate, events, share }) {
    [whole(followers), count(rate), whole(events)].forEach((text, column) => show(this.#cells[column], text));
    this.#bar.style.width = `${Math.round(share * 100)}%`;
  }
}
