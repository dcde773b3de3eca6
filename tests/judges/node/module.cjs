// Microsoft's module SDK for Node.js against an edgeHub, as the module of its IOTEDGE_* variables.
// It sends what a line on its standard input says and prints what it got, one JSON document a line.
const readline = require("node:readline");
const { ModuleClient, Message } = require("azure-iot-device");
const { Mqtt } = require("azure-iot-device-mqtt");

const tell = (kind, value) => console.log(JSON.stringify({ kind, value }));

function patchOf(twin) {
  return (delta) => {
    const { $version, ...patch } = delta;
    tell("desired", { patch, version: $version });
    twin.properties.reported.update({ seen: $version }, (error) => tell("reported", error ? String(error) : "ok"));
  };
}

async function main() {
  const client = await ModuleClient.fromEnvironment(Mqtt);
  client.on("inputMessage", (input, message) => {
    const properties = message.properties.propertyList;
    tell("input", { input, body: message.data.toString(), type: message.contentType, properties });
    client.complete(message, () => {});
  });
  client.onMethod("Echo", (request, response) => response.send(207, { got: request.payload }, () => {}));
  await client.open();
  const twin = await client.getTwin();
  tell("twin", { desired: twin.properties.desired, reported: twin.properties.reported });
  twin.on("properties.desired", patchOf(twin));
  tell("ready", null);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    const message = new Message(order.body);
    message.contentType = "application/json";
    message.contentEncoding = "utf-8";
    for (const [key, value] of Object.entries(order.properties ?? {})) message.properties.add(key, value);
    await client.sendOutputEvent(order.output, message);
    tell("sent", order.output);
  }
  await client.close();
}

main().catch((error) => {
  tell("failed", String(error));
  process.exit(1);
});
