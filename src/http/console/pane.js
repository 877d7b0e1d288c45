// A pane that asks the server for a list of its own, while it is on somebody's screen.

import { show } from "./elements.js";
import { fetchJson } from "./fetch.js";

const PERIOD_MS = 2000;

export class Pane {
  #element;
  #path;
  #take;
  #isSeen = false;
  #isAsking = false;
  #asksAgain = false;
  #timer = 0;

  /** `path()` is what to ask for, `take(body)` gets each answer; what stands in its place goes to the `.none`. */
  constructor(element, path, take) {
    this.#element = element;
    this.#path = path;
    this.#take = take;
    new IntersectionObserver(([entry]) => {
      this.#isSeen = entry.isIntersecting;
      this.ask();
    }).observe(element);
    document.addEventListener("visibilitychange", () => this.ask());
  }

  /** Asks now, and every two seconds as long as somebody sees the answers. */
  async ask() {
    // What is asked for may have changed since the question that is on its way.
    this.#asksAgain = this.#isAsking;
    if (this.#isAsking || !this.#isSeen || document.hidden) return;
    clearTimeout(this.#timer);
    this.#isAsking = true;
    const { status, body } = await fetchJson(this.#path());
    this.#isAsking = false;
    if (status === 200) this.#take(body);
    else if (status !== 0) show(this.#element.querySelector(".none"), `Not available: the server answers ${status}.`);
    this.#timer = setTimeout(() => this.ask(), this.#asksAgain ? 0 : PERIOD_MS);
  }
}
