/**
 * onnxruntime's native kernels for the CPU, from the package for Node. They show how fast the CPU
 * can be.
 */
import { modelsOf } from "./onnx_model.ts";
import { exchangeAxes, type Peer, type PreparedWork } from "../peer.ts";

const VERSION = "1.30.0";

interface OrtTensor {
  readonly data: Float32Array;
}

interface Ort {
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{
      run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Record<string, OrtTensor>>;
    }>;
  };
  readonly Tensor: new (
    type: "float32",
    data: Float32Array,
    shape: readonly number[],
  ) => OrtTensor;
}

/** Loads the library from npm. */
export async function loadPeer(): Promise<Peer> {
  const module = await import(`npm:onnxruntime-node@${VERSION}`) as { default: Ort };
  const ort = module.default;
  return {
    versions: { "onnxruntime-node": VERSION },
    async prepare(work, inputs) {
      const { H = 1, T = 1, D = 1 } = work.dimensions;
      const ways: PreparedWork[] = [];
      for (const model of await modelsOf(work)) {
        const session = await ort.InferenceSession.create(model.bytes, {
          executionProviders: ["cpu"],
        });
        const feeds: Record<string, OrtTensor> = {};
        for (const [name, shape] of Object.entries(model.inputs)) {
          const numbers = inputs[name] ?? model.constants[name]!;
          const data = model.tokensFirst ? exchangeAxes(numbers, [H, T, D]) : numbers;
          feeds[name] = new ort.Tensor("float32", data, shape);
        }
        let results: Record<string, OrtTensor> = {};
        ways.push({
          way: model.way,
          async run() {
            results = await session.run(feeds);
          },
          finish: () => Promise.resolve(),
          read() {
            const read = Object.entries(results).map(([name, { data }]) =>
              [
                name,
                model.tokensFirst ? exchangeAxes(data, [T, H, D]) : Float32Array.from(data),
              ] as const
            );
            return Promise.resolve(Object.fromEntries(read));
          },
        });
      }
      return ways;
    },
  };
}
