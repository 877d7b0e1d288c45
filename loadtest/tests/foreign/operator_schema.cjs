// Holds a JSON array of resources, from standard input, against the schemas of the Prometheus Operator.
const fs = require("node:fs");

async function check() {
  // A module of the new kind, which is not looked for in NODE_PATH.
  const models = await import(
    `${process.env.NODE_PATH}/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/index.js`
  );
  for (const resource of JSON.parse(fs.readFileSync(0, "utf8"))) new models[resource.kind](resource).validate();
}

check();
