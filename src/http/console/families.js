// The families that the server speaks with, as it names them, and whose topics are whose.

import { make } from "./elements.js";

export class Families {
  #families = [];
  #calls = [];

  /** Takes in what the server says of them. */
  learn(families) {
    const isNews = JSON.stringify(families) !== JSON.stringify(this.#families);
    this.#families = families;
    if (isNews) this.#calls.forEach((call) => call());
  }

  /** Calls whenever topics have got other names. */
  onChange(call) {
    this.#calls.push(call);
  }

  /** Where a family connects. */
  path(name, usual) {
    return this.#families.find((family) => family.name === name)?.path ?? usual;
  }

  /** A topic for people: its family, and its name without what stands in front of it at the broker. */
  label(topic) {
    const owner = this.#families.find(({ prefix }) => prefix && topic.startsWith(prefix));
    const name = make("span", { className: "topic", textContent: owner ? topic.slice(owner.prefix.length) : topic });
    if (!owner) return [name];
    const badge = make("span", { className: "badge", textContent: owner.name });
    badge.dataset.family = owner.name;
    return [badge, " ", name];
  }
}
