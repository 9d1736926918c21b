/** The process that runs one library: `deno run child.ts LIBRARY`. */
import { processClocks, writeLine } from "../../src/measure/child/io.ts";
import { readLines } from "../../src/files/json_lines.ts";
import { openGpu } from "../../src/ops/open_gpu.ts";
import { libraries, type LibraryName } from "./libraries.ts";
import type { Peer, PreparedWork } from "./peer.ts";
import type { PeerReply, PeerRequest, PreparedWay } from "./protocol.ts";
import { inputsOf } from "./works.ts";

function reply(message: PeerReply): void {
  writeLine(JSON.stringify(message) + "\n");
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 300);
}

async function start(name: LibraryName): Promise<Peer> {
  const library = libraries[name];
  let adapter: string | undefined;
  if (library.gpu) {
    // Runs before the library loads, because openGpu() may switch this process to the embedded
    // driver, which the library must then use, too.
    using gpu = await openGpu({ tuning: false });
    adapter = gpu.info.description || gpu.info.device || gpu.info.vendor;
  }
  const { loadPeer } = await import(new URL(library.module, import.meta.url).href) as {
    loadPeer(): Promise<Peer>;
  };
  const peer = await loadPeer();
  const { versions } = peer;
  reply({ type: "ready", versions, ...adapter === undefined ? {} : { adapter } });
  return peer;
}

let ways: readonly PreparedWork[] = [];

async function answer(peer: Peer, request: PeerRequest): Promise<void> {
  if (request.type === "sample") {
    const { way, runs } = request;
    const clocks = processClocks();
    const work = ways[way]!;
    const [wall, cpu] = [clocks.wall(), clocks.cpu!()];
    for (let run = 0; run < runs; run++) await work.run();
    await work.finish();
    reply({ type: "sampled", wall: clocks.wall() - wall, cpu: clocks.cpu!() - cpu });
    return;
  }
  ways = await peer.prepare(request.work, inputsOf(request.work));
  const prepared: PreparedWay[] = [];
  for (const [i, way] of ways.entries()) {
    const name = way.way ?? (ways.length === 1 ? "" : `${i + 1}`);
    try {
      const begin = performance.now();
      await way.run();
      await way.finish();
      const first = performance.now() - begin;
      const results = await way.read();
      const numbers = request.stretches.map((
        { output, start, length },
      ) => [...results[output]?.subarray(start, start + length) ?? []]);
      prepared.push({ name, numbers, first });
    } catch (error) {
      prepared.push({ name, fault: messageOf(error) });
    }
  }
  reply({ type: "prepared", ways: prepared });
}

// Sends a library's own output to stderr, because stdout carries the replies.
console.log = console.info = console.warn = console.error;
if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
try {
  const peer = await start(Deno.args[0] as LibraryName);
  for await (const request of readLines<PeerRequest>(Deno.stdin.readable)) {
    await answer(peer, request).catch((error) =>
      reply({ type: "failed", reason: messageOf(error) })
    );
  }
} catch (error) {
  reply({ type: "failed", reason: messageOf(error) });
}
Deno.exit(0);
