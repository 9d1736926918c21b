/** Messages between processes: one JSON object per line. */

/**
 * Reads JSON lines. Skips lines that are not JSON objects with a `type`, because drivers may print
 * lines of their own.
 */
export async function* readLines<Message>(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Message> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = parse(line);
      if (message !== undefined) yield message as Message;
    }
  }
}

function parse(line: string): unknown {
  try {
    const message: unknown = JSON.parse(line);
    const known = typeof message === "object" && message !== null && "type" in message;
    return known ? message : undefined;
  } catch {
    return undefined;
  }
}
