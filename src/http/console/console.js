// The console: hears the server and tells the panes.

import { Connections } from "./connections.js";
import { byId, show } from "./elements.js";
import { Families } from "./families.js";
import { Feed } from "./feed.js";
import { History } from "./history.js";
import { Losses } from "./losses.js";
import { Overview } from "./overview.js";
import { State } from "./state.js";
import { Topics } from "./topics.js";
import { Trace } from "./trace.js";
import { Try } from "./try.js";

const history = new History();
const state = new State(history);
const overview = new Overview(history);
const losses = new Losses(history);
const families = new Families();

new Topics(families);
new Connections(families);
new Trace();
new Try(families);

new Feed({
  hello: (hello) => families.learn(hello.families),
  link: (link) => state.link(link),
  stats: (stats) => {
    history.add(stats);
    show(byId("version"), stats.version);
    state.update(stats);
    overview.update(stats);
    losses.update(stats, overview.scope);
  },
}).run();
