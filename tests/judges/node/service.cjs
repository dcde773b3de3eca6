// Microsoft's service SDK for Node.js against an IoT Hub: prints what it got, one JSON document.
// Environment: HUB_CONNECTION_STRING, NODE_EXTRA_CA_CERTS.
const { Registry, Client } = require("azure-iothub");

const LOGIN = process.env.HUB_CONNECTION_STRING;
const registry = Registry.fromConnectionString(LOGIN);
const body = (answer) => answer.responseBody;

const BASE = {
  modulesContent: {
    $edgeAgent: {
      "properties.desired": {
        schemaVersion: "1.1",
        runtime: { type: "docker", settings: {} },
        systemModules: {},
        modules: {},
      },
    },
    $edgeHub: {
      "properties.desired": {
        schemaVersion: "1.2",
        routes: {},
        storeAndForwardConfiguration: { timeToLiveSecs: 7200 },
      },
    },
    stager: { "properties.desired": { model: { version: "1" } } },
  },
};
const LAYER = { modulesContent: { stager: { "properties.desired.model": { version: "2" } } } };

function configuration(id, priority, targetCondition, content) {
  const metrics = { queries: { all: "SELECT deviceId FROM devices" } };
  return { id, schemaVersion: "2.0", labels: { kind: "judge" }, content, targetCondition, priority, metrics };
}

async function identities(found) {
  await registry.create({ deviceId: "node-1", status: "enabled", capabilities: { iotEdge: true } });
  await registry.create({ deviceId: "node-2", status: "enabled", capabilities: { iotEdge: true } });
  const module = body(await registry.addModule({ deviceId: "node-1", moduleId: "probe" }));
  found.module = { id: module.moduleId, hasKey: Boolean(module.authentication.symmetricKey.primaryKey) };
  found.modules = body(await registry.getModulesOnDevice("node-1")).map((each) => each.moduleId).sort();
  found.device = body(await registry.get("node-1")).capabilities;
  found.missing = await registry.get("nobody").then(() => "found", (error) => [error.name, error.response?.statusCode]);
}

async function twins(found) {
  const twin = body(await registry.getTwin("node-1"));
  await twin.update({ tags: { ring: "canary" } });
  const module = body(await registry.getModuleTwin("node-1", "probe"));
  await module.update({ properties: { desired: { speed: { limit: 3 } } } });
  const read = body(await registry.getModuleTwin("node-1", "probe")).properties.desired;
  found.desired = { limit: read.speed.limit, version: read.$version, metadata: Boolean(read.$metadata) };
  const stale = { properties: { desired: { speed: null } } };
  found.stale = await registry
    .updateModuleTwin("node-1", "probe", stale, "AAAA-old")
    .then(() => "taken", (error) => [error.name, error.response?.statusCode]);
}

async function queries(found) {
  const query = registry.createQuery("SELECT deviceId FROM devices WHERE deviceId IN ['node-1', 'node-2']", 1);
  const rows = [];
  while (query.hasMoreResults) rows.push(...(await query.next(query.continuationToken)).result.map((row) => row.deviceId));
  found.pages = rows.sort();
  const twins = await registry.createQuery("SELECT * FROM devices WHERE tags.ring = 'canary'").nextAsTwin();
  found.twins = twins.result.map((twin) => [twin.deviceId, twin.tags.ring]);
  const wrong = registry.createQuery("SELECT FROM WHERE");
  found.wrong = await wrong.next().then(() => "taken", (error) => [error.name, error.response?.statusCode]);
}

async function deployments(found) {
  await registry.addConfiguration(configuration("node-base", 10, "deviceId IN ['node-1', 'node-2']", BASE));
  await registry.addConfiguration(configuration("node-layer", 20, "tags.ring='canary'", LAYER));
  const model = async (device) => body(await registry.getModuleTwin(device, "stager")).properties.desired.model.version;
  found.models = [await model("node-1"), await model("node-2")];
  const layer = body(await registry.getConfiguration("node-layer"));
  found.layer = { labels: layer.labels, metrics: layer.systemMetrics.results, custom: layer.metrics.results };
  layer.priority = 30;
  found.priority = body(await registry.updateConfiguration(layer, true)).priority;
  found.listed = body(await registry.getConfigurations()).map((each) => each.id).sort();
  await registry.removeConfiguration("node-layer");
  found.after = [await model("node-1"), await model("node-2")];
  await registry.removeConfiguration("node-base");
}

async function methods(found) {
  const client = Client.fromConnectionString(LOGIN);
  const call = { methodName: "ping", payload: null, responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 0 };
  found.method = await client
    .invokeDeviceMethod("node-1", "$edgeAgent", call)
    .then((answer) => answer.result.status, (error) => [error.name, error.response?.statusCode]);
}

(async () => {
  const found = {};
  for (const step of [identities, twins, queries, deployments, methods]) await step(found);
  await registry.delete("node-1");
  await registry.delete("node-2");
  console.log(JSON.stringify(found));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
