// A pane that asks the server for a list of its own, while it is on somebody's screen.

const PERIOD_MS = 2000;
const PATIENCE_MS = 5000;

export class Pane {
  #element;
  #look;
  #isSeen = false;
  #isAsking = false;
  #asksAgain = false;
  #timer = 0;

  /** `look` fetches and shows once; it says whether it is worth while to do so again. */
  constructor(element, look) {
    this.#element = element;
    this.#look = look;
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
    const goesOn = await this.#look();
    this.#isAsking = false;
    if (!goesOn) this.#isSeen = false;
    this.#timer = setTimeout(() => this.ask(), this.#asksAgain ? 0 : PERIOD_MS);
  }
}

/**
 * Fetches JSON: `{ status, body }`. A server that does not answer has status 0, and the state line says so already.
 */
export async function fetchJson(path, options = {}) {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), ...options });
    return { status: response.status, body: await response.json() };
  } catch {
    return { status: 0, body: null };
  }
}
