/**
 * Damages a file of tuned choices in many ways, and opens the GPU after each damage. Prints as JSON
 * the entries of `gpu.variants` for each damage; `sound` is the undamaged file.
 */
import { openGpu } from "../../../mod.ts";

const file = Deno.args[0]!;
const sound = await Deno.readTextFile(file);

function write(text: string): Promise<void> {
  return Deno.writeTextFile(file, text);
}

// A file with a hundred choices. Each is for a call whose tensors fit into no memory, and which
// would take far too long to plan.
function endless(): string {
  const file = JSON.parse(sound);
  const dimensions = { B: 2 ** 24, Hq: 2 ** 24, Hkv: 2 ** 24, T: 256, D: 64 };
  const choice = {
    ...file.choices[0],
    operator: "attentionBackward",
    shapeClass: "D=64 T<=256",
    variant: "panels",
    dimensions,
  };
  return JSON.stringify({ ...file, choices: new Array(100).fill(choice) });
}

const poisons: readonly (readonly [string, () => Promise<void>])[] = [
  ["sound", () => write(sound)],
  ["no hash", () => write(sound.replace(/"candidatesHash": "../, '"candidatesHash": "zz'))],
  ["another hash", () => write(sound.replace(/[0-9a-f]{64}/, "0".repeat(64)))],
  ["an unknown variant", () => write(sound.replace(/"variant": ".*?"/, '"variant": "fast"'))],
  ["no JSON", () => write(sound.slice(0, sound.length / 2))],
  ["bytes that are no text", () => Deno.writeFile(file, new Uint8Array([0xff, 0xfe, 0x00]))],
  ["a huge file", () => write(sound + " ".repeat(3e7))],
  ["a huge file of nothing", async () => {
    await write("");
    await Deno.truncate(file, 1e8);
  }],
  ["an empty file", () => write("")],
  ["another version", () => write(sound.replace("gradsink-tuning/1", "gradsink-tuning/2"))],
  ["a number format that is never chosen", () => write(sound.replace('"f32"', '"f16"'))],
  ["calls without an end", () => write(endless())],
  ["a link to itself", () => Deno.symlink(file, file)],
  ["a folder", () => Deno.mkdir(file)],
  ["a link to nothing", () => Deno.symlink(`${file}.nothing`, file)],
  ["a device without an end", () => Deno.symlink("/dev/zero", file)],
  ["a pipe without a writer", async () => {
    const { success } = await new Deno.Command("mkfifo", { args: [file] }).output();
    if (!success) throw new Error("mkfifo failed");
  }],
  ["a fault in the first byte", () => write(`{${sound}`)],
];

const taken: Record<string, [string, string][]> = {};
for (const [name, poison] of poisons) {
  await Deno.remove(file, { recursive: true });
  await poison();
  using gpu = await openGpu();
  taken[name] = [...gpu.variants];
}
console.log(JSON.stringify(taken));
Deno.exit(0);
