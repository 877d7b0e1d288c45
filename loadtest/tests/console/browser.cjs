// A real browser with the console in it, which does what it is told: a line `["PLAY", …arguments]` on the standard input
// is answered with one on the standard output, `null` or what went wrong.
//
// usage: browser.cjs URL ['{"width":360,"dark":true,"password":"…"}']

const { chromium } = require("playwright-core");
const readline = require("node:readline");

// Far above what a loaded machine needs, and below the patience of whoever reads the answers.
const PATIENCE_MS = 25_000;

const SWITCHES = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** Waits until a function of the page says something. */
const eventually = (page, look, argument) => page.waitForFunction(look, argument, { timeout: PATIENCE_MS, polling: 20 });

/** Waits until an element says something; where it does not, what it says instead is told. */
const shows = (page, selector, text) =>
  eventually(page, ([selector, text]) => document.querySelector(selector)?.textContent.includes(text), [selector, text])
    .catch(async ({ message }) => {
      const said = await page.evaluate((selector) => document.querySelector(selector)?.textContent, selector);
      throw new Error(`${selector} says ${said} instead of ${text}: ${message}`);
    });

/** Waits until the log has received this event, and a time for its way. */
const receives = (page, event) =>
  eventually(page, (event) => [...document.querySelectorAll('#log-rows tr[data-what="received"]')].some((row) =>
    row.querySelector(".event").textContent === event && /ms|s/.test(row.lastElementChild.textContent)), event);

/**
 * Presses what a person would see and reach, in one go: what comes in moves the page, and a mouse that goes down on a
 * button and up beside it presses nothing.
 */
const press = (page, what) => (typeof what === "string" ? page.locator(what) : what).evaluate((element) => {
  const target = element.labels?.[0] ?? element;
  target.scrollIntoView({ block: "center", behavior: "instant" });
  const { left, top, width, height } = target.getBoundingClientRect();
  const reached = document.elementFromPoint(left + width / 2, top + height / 2);
  if (!target.contains(reached)) throw new Error(`${reached?.outerHTML} lies over ${target.outerHTML}`);
  target.click();
}, null, { timeout: PATIENCE_MS });

/** Presses Tab until the element with this id has the focus. */
async function tabTo(page, id) {
  for (let presses = 0; presses < 100; presses += 1) {
    if (await page.evaluate((id) => document.activeElement?.id === id, id)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`100 presses of Tab do not lead to ${id}`);
}

async function publish(page, name, event) {
  await page.fill("#publish-name", name);
  await page.fill("#publish-event", event);
  await press(page, "#publish");
}

const PLAYS = {
  /** Waits until the state is good, warn or bad. */
  state: (page, level) => page.waitForSelector(`#state[data-level="${level}"]`, { timeout: PATIENCE_MS }),

  /** Waits until an element says something. */
  says: (page, selector, text) => shows(page, selector, text),

  async listen(page, family, name) {
    await press(page, `input[name="family"][value="${family}"]`);
    await page.fill("#listen-name", name);
    await press(page, "#listen");
    await shows(page, "#listen-state", "listening");
    if (family === "flux") await shows(page, "#log-rows", "subscribed");
  },

  /** Presses Listen once more, with this token. */
  async listenWithToken(page, token) {
    await press(page, "#listen-form summary");
    await page.fill("#listen-token", token);
    await press(page, "#listen");
    await shows(page, "#listen-state", "listening");
  },

  /** Presses a button. */
  press,

  publish,

  async publishAndReceive(page, name, event) {
    await publish(page, name, event);
    await receives(page, event);
  },

  /** Waits until the plot of a measure has left the ground. */
  plotRises: (page, measure) =>
    eventually(page, (measure) => {
      const path = document.querySelector(`.tile[data-measure="${measure}"] .line`).getAttribute("d") ?? "";
      return [...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].some(([, y]) => Number(y) < 99);
    }, measure),

  /** Waits until what a plot draws has changed this often. */
  plotMoves: (page, measure, times) =>
    eventually(page, ([measure, times]) => {
      const path = document.querySelector(`.tile[data-measure="${measure}"] .line`).getAttribute("d");
      window.paths ??= new Set();
      return window.paths.add(path).size > times;
    }, [measure, times]),

  /** Looks for the connections of a name and disconnects the first. */
  async disconnect(page, name) {
    await page.fill("#connections-filter", name);
    const button = page.locator("#connection-rows tr", { hasText: name }).first().getByRole("button");
    await press(page, button);
    await press(page, button);
  },

  /** Begins to trace, or ends it. */
  async trace(page, kind, name) {
    await page.selectOption("#trace-kind", kind);
    await page.fill("#trace-name", name);
    await press(page, "#trace");
  },

  /** Listens and publishes with the keyboard alone. */
  async keyboard(page, event) {
    await tabTo(page, "listen-name");
    await page.keyboard.press("Enter");
    await shows(page, "#listen-state", "listening");
    await tabTo(page, "publish-event");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(event);
    await tabTo(page, "publish");
    await page.keyboard.press("Enter");
    await receives(page, event);
  },

  /** The page is no wider than the screen. */
  async fits(page) {
    const [page_width, screen_width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    if (page_width > screen_width) throw new Error(`${page_width} pixels on a screen of ${screen_width}`);
  },

  /** Keeps a picture of the page from one element to another. */
  async picture(page, path, first, last) {
    const [top, bottom] = await page.evaluate((ends) => {
      document.activeElement.blur();
      window.scrollTo({ top: 0, behavior: "instant" });
      const [first, last] = ends.map((selector) => document.querySelector(selector).getBoundingClientRect());
      return [Math.max(0, first.top - 12), last.bottom + 12];
    }, [first, last]);
    const clip = { x: 0, y: top, width: page.viewportSize().width, height: bottom - top };
    await page.screenshot({ path, fullPage: true, clip });
  },

  /** Answers the next requests for this in such a way, and `abort`s or `continue`s the others. */
  hears: (page, path, answers, then) =>
    page.route(`**${path}`, (route) => (answers.length ? route.fulfill(answers.shift()) : route[then]())),

  /** Moves an element onto the screen. */
  look: (page, selector) => page.locator(selector).scrollIntoViewIfNeeded(),
};

async function main([url, options = "{}"]) {
  const { width = 1280, height = 800, dark = false, password } = JSON.parse(options);
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: SWITCHES });
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    httpCredentials: password && { username: "operator", password },
  });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const isForeign = (address) => new URL(address).host !== new URL(url).host;
  page.on("request", (request) => isForeign(request.url()) && complaints.push(`asks ${request.url()}`));
  page.on("websocket", (socket) => isForeign(socket.url()) && complaints.push(`connects to ${socket.url()}`));
  await page.goto(url, { timeout: PATIENCE_MS });

  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [play, ...rest] = JSON.parse(line);
    const outcome = play === "complaints"
      ? complaints
      : await PLAYS[play](page, ...rest).then(() => null, (error) => `${play}: ${error.message}`);
    console.log(JSON.stringify(outcome));
  }
  await browser.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.log(JSON.stringify(String(error)));
  process.exit(1);
});
