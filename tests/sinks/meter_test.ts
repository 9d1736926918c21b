import { SinkMeter } from "../../src/sinks/meter.ts";
import { checkTheory } from "../../src/sinks/theory.ts";
import { sinkProperties } from "../support/properties/sinks/list.ts";

for (const { name, check } of sinkProperties) {
  Deno.test(`sinks: ${name}`, () => check({ SinkMeter, checkTheory }));
}
