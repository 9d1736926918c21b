/** ONNX models that compute the works, encoded with npm:onnx-proto. */
import type { Work } from "../works.ts";
import { EPSILON } from "../works.ts";

const VERSION = "8.0.1";

interface Onnx {
  readonly ModelProto: {
    create(fields: object): object;
    encode(model: object): { finish(): Uint8Array };
  };
}

/** A model, with the names and shapes of its inputs and outputs. */
export interface OnnxModel {
  /** The model's way of computing the work. */
  readonly way: string;
  readonly bytes: Uint8Array;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Whether attention's tensors are [1, T, H · D] instead of [1, H, T, D]. */
  readonly tokensFirst: boolean;
  /** Constant inputs, in addition to the work's inputs. */
  readonly constants: Readonly<Record<string, Float32Array>>;
}

type Attribute = readonly [name: string, value: number | string, kind: "int" | "float"];

interface Node {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: readonly Attribute[];
}

interface Graph extends Omit<OnnxModel, "bytes"> {
  readonly nodes: readonly Node[];
}

/**
 * The ways in which onnxruntime can do a work. Its packages for the web and Node contain no
 * gradients.
 *
 * @param work the work
 * @returns models; none for a backward pass
 */
export async function modelsOf(work: Work): Promise<OnnxModel[]> {
  if (work.pass !== "forward") return [];
  const specifier = `npm:onnx-proto@${VERSION}`;
  const { onnx } = (await import(specifier) as { default: { onnx: Onnx } }).default;
  const graphs = work.operator === "attention" ? attentionGraphs(work) : [rowsGraph(work)];
  return graphs.map(({ nodes, ...graph }) => ({
    ...graph,
    bytes: encode(onnx, { nodes, ...graph }),
  }));
}

function attentionGraphs({ dimensions }: Work): Graph[] {
  const { H, T, D } = dimensions as { H: number; T: number; D: number };
  const mask = new Float32Array(T * T);
  for (let t = 0; t < T; t++) mask.fill(-1e9, t * T + t + 1, (t + 1) * T);
  const wide = [1, T, H * D];
  const heads = [1, H, T, D];
  return [{
    way: "MultiHeadAttention",
    inputs: { query: wide, key: wide, value: wide },
    outputs: { output: wide },
    tokensFirst: true,
    constants: {},
    nodes: [{
      op: "MultiHeadAttention",
      domain: "com.microsoft",
      inputs: ["query", "key", "value"],
      outputs: ["output"],
      attributes: [["num_heads", H, "int"], ["unidirectional", 1, "int"]],
    }],
  }, {
    way: "MatMul, Softmax, MatMul",
    inputs: { query: heads, key: heads, value: heads, mask: [1, 1, T, T], scale: [1] },
    outputs: { output: heads },
    tokensFirst: false,
    constants: { mask, scale: new Float32Array([1 / Math.sqrt(D)]) },
    nodes: [
      {
        op: "Transpose",
        inputs: ["key"],
        outputs: ["transposed"],
      },
      { op: "MatMul", inputs: ["query", "transposed"], outputs: ["products"] },
      { op: "Mul", inputs: ["products", "scale"], outputs: ["logits"] },
      { op: "Add", inputs: ["logits", "mask"], outputs: ["masked"] },
      {
        op: "Softmax",
        inputs: ["masked"],
        outputs: ["weights"],
        attributes: [["axis", -1, "int"]],
      },
      { op: "MatMul", inputs: ["weights", "value"], outputs: ["output"] },
    ],
  }];
}

function rowsGraph({ dimensions }: Work): Graph {
  const { rows, d } = dimensions as { rows: number; d: number };
  return {
    way: "SimplifiedLayerNormalization",
    inputs: { input: [rows, d], gain: [d] },
    outputs: { output: [rows, d] },
    tokensFirst: false,
    constants: {},
    nodes: [{
      op: "SimplifiedLayerNormalization",
      inputs: ["input", "gain"],
      outputs: ["output"],
      attributes: [["axis", -1, "int"], ["epsilon", EPSILON, "float"]],
    }],
  };
}

// The numbers of types are those of onnx.proto. `elemType` 1 is FLOAT. An attribute's `type` 1 is
// FLOAT, 2 is INT and 7 is INTS.
function encode(onnx: Onnx, { nodes, inputs, outputs }: Graph): Uint8Array {
  const values = (shapes: Readonly<Record<string, readonly number[]>>) =>
    Object.entries(shapes).map(([name, shape]) => ({
      name,
      type: {
        tensorType: { elemType: 1, shape: { dim: shape.map((dimValue) => ({ dimValue })) } },
      },
    }));
  const model = onnx.ModelProto.create({
    irVersion: 8,
    opsetImport: [{ domain: "", version: 17 }, { domain: "com.microsoft", version: 1 }],
    graph: {
      name: "work",
      input: values(inputs),
      output: values(outputs),
      node: nodes.map(({ op, domain = "", inputs, outputs, attributes = [] }) => ({
        opType: op,
        domain,
        input: inputs,
        output: outputs,
        attribute: [
          ...attributes.map(([name, value, kind]) =>
            kind === "int" ? { name, i: value, type: 2 } : { name, f: value, type: 1 }
          ),
          ...op === "Transpose" ? [{ name: "perm", ints: [0, 1, 3, 2], type: 7 }] : [],
        ],
      })),
    },
  });
  return onnx.ModelProto.encode(model).finish();
}
