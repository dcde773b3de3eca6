// st-ethernet-ip, a PLC client for Node.js, against the controller of ADDRESS (port 44818).
// It prints what it found, one JSON document: tags, what it read, what it wrote, what was refused.
const { Controller } = require("st-ethernet-ip");

const found = { refused: {} };

async function refusal(name, work) {
  try {
    await work();
    found.refused[name] = null;
  } catch (error) {
    found.refused[name] = error.message ?? JSON.stringify(error);
  }
}

async function main() {
  const plc = new Controller();
  await plc.connect(process.env.ADDRESS, 0);
  found.properties = { name: plc.properties.name, version: plc.properties.version, serial: plc.properties.serial_number };
  found.tags = plc.tagList.map((tag) => ({ name: tag.name, program: tag.program ?? null, type: tag.type.typeName, dimensions: tag.type.arrayDims }));

  const command = plc.newTag("VIS01_Cmd");
  await plc.readTag(command);
  found.command = command.value;

  const slots = plc.newTag("VIS01_Result", null, true, 1, 8);
  await plc.readTag(slots);
  found.slots = slots.value.length;
  slots.value[3].TriggerId = 4715;
  slots.value[3].Decision = 1;
  slots.value[3].Score = 0.125;
  slots.value[3].Pass = true;
  await plc.writeTag(slots);

  const heartbeat = plc.newTag("VIS01_Sts.Heartbeat");
  await plc.readTag(heartbeat);
  found.heartbeat = heartbeat.value;
  heartbeat.value = 78;
  await plc.writeTag(heartbeat);

  await refusal("command", async () => {
    const trigger = plc.newTag("VIS01_Cmd.TriggerId");
    await plc.readTag(trigger);
    trigger.value = 1;
    await plc.writeTag(trigger);
  });
  await refusal("missing", () => plc.readTag(plc.newTag("VIS01_Nothing")));
  await plc.disconnect();
}

main()
  .then(() => console.log(JSON.stringify(found)))
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => process.exit());
