// Elements of the page. Whatever comes from outside gets in as text and never as markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element with these properties, and with children that are elements or text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

/** A new cell of a table. */
export const cell = (className, textContent = "") => make("td", { className, textContent });

/** Shows a text, where it is not shown already: what does not change is not drawn again, nor read out again. */
export function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * The rows of a table that is told again and again: a row lives as long as its key, so that focus, selection and
 * half-pressed buttons survive.
 */
export class Rows {
  #body;
  #rows = new Map();
  #create;

  /** `create(key)` makes `{ element, update(item) }`. */
  constructor(body, create) {
    this.#body = body;
    this.#create = create;
  }

  /** Shows these `[key, item]` in this order. */
  show(entries) {
    const focused = document.activeElement;
    const keys = new Set(entries.map(([key]) => key));
    for (const [key, row] of this.#rows) {
      if (!keys.has(key)) {
        row.element.remove();
        this.#rows.delete(key);
      }
    }
    entries.forEach(([key, item], place) => this.#place(key, item, place));
    // Who is moved loses the focus.
    if (focused !== document.activeElement && this.#body.contains(focused)) focused.focus({ preventScroll: true });
  }

  #place(key, item, place) {
    let row = this.#rows.get(key);
    if (!row) {
      row = this.#create(key);
      this.#rows.set(key, row);
    }
    row.update(item);
    if (this.#body.children[place] !== row.element) this.#body.insertBefore(row.element, this.#body.children[place] ?? null);
  }
}
