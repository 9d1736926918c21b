/** openGpu() finds out an adapter's false claims, and does not rely on them. */
import { GpuError, openGpu, rmsNormForward, type Runtime } from "../../../mod.ts";
import { openDevice } from "../../../src/gpu/adapter/open_device.ts";
import { type ClaimSources, claimSources, examineClaims } from "../../../src/gpu/adapter/claims.ts";
import type { FoundAdapter } from "../../../src/gpu/adapter/request.ts";
import { dawnRuntime, denoRuntime } from "../../../src/gpu/adapter/runtimes.ts";
import { assert, assertEquals, assertRejects } from "../../support/assert/assert.ts";
import { eachRuntime } from "../../support/gpu.ts";

const { features, subgroupSize, software } = await openGpu({ tuning: false }).then((gpu) => {
  gpu.dispose();
  return gpu.info;
});
const noSubgroups = subgroupSize === undefined
  ? "this adapter has no subgroups"
  : subgroupSize.minimum !== subgroupSize.maximum
  ? "this adapter has subgroups of several sizes"
  : undefined;
const noHalf = features.includes("shader-f16") ? undefined : "this adapter has no f16";

type Members = Readonly<Record<string, unknown>>;

/**
 * A proxy of `original` in which `members` replace the members of the same names. All other methods
 * run on `original` itself.
 */
function forge<Original extends object>(original: Original, members: Members): Original {
  return new Proxy(original, {
    get(target, name) {
      if (name in members) return members[String(name)];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

// Opens a `Gpu` and disposes of it, so that openGpu() has accepted the adapter's driver. Then
// requests the adapter again and replaces some of its members.
async function find(runtime: Runtime, members: (adapter: GPUAdapter) => Members = () => ({})) {
  (await openGpu({ runtime, tuning: false })).dispose();
  const origin = await (runtime === "dawn" ? dawnRuntime() : denoRuntime());
  const adapter = (await origin.gpu.requestAdapter())!;
  return { origin, adapter: forge(adapter, members(adapter)) } satisfies FoundAdapter;
}

function claimingSizes(subgroupMinSize: number | undefined, subgroupMaxSize = subgroupMinSize) {
  return ({ info }: GPUAdapter): Members => ({
    info: forge(info, { subgroupMinSize, subgroupMaxSize }),
  });
}

/** Runs `act`; returns its result and what it would have printed to standard error. */
async function noted<Result>(act: () => Promise<Result>): Promise<[Result, string[]]> {
  const { error } = console;
  const lines: string[] = [];
  console.error = (line: string) => void lines.push(line);
  try {
    return [await act(), lines];
  } finally {
    console.error = error;
  }
}

const truth = subgroupSize?.minimum ?? 0;
const wrongSizes: readonly (readonly [number, number, string])[] = [
  [0, 0, "it claims subgroups of 0 lanes, which none can have: the feature subgroups is not used"],
  [3, 3, "it claims subgroups of 3 lanes, which none can have: the feature subgroups is not used"],
  [
    64,
    4,
    "it claims subgroups of 64 to 4 lanes, which none can have: the feature subgroups is not used",
  ],
  [
    8,
    256,
    "it claims subgroups of 8 to 256 lanes, which none can have: the feature subgroups is not used",
  ],
  ...[4, 8, 16, 32, 64, 128].filter((size) => size !== truth).map((size) =>
    [
      size,
      size,
      `it claims subgroups of ${size} lanes, its kernels run with ${truth}: the feature subgroups is not used`,
    ] as const
  ),
  [
    2 * truth,
    128,
    `it claims subgroups of ${2 * truth} to 128 lanes, its kernels run with ${truth}: ` +
    "the feature subgroups is not used",
  ],
];

eachRuntime("openGpu() uses no subgroups if their claimed size is wrong", async (runtime) => {
  for (const [minimum, maximum, note] of wrongSizes) {
    const [gpu, lines] = await noted(async () =>
      await openDevice(await find(runtime, claimingSizes(minimum, maximum)))
    );
    assertEquals(gpu.info.notes, [note]);
    assert(lines.length === 1 && lines[0]!.endsWith(note), lines.join());
    assertEquals(gpu.info.subgroupSize, undefined);
    assert(!gpu.info.features.includes("subgroups"));
    const columns = 128, input = gpu.tensor(new Float32Array(columns).fill(2), [1, columns]);
    const gain = gpu.tensor(new Float32Array(columns).fill(3), [columns]);
    const { output } = rmsNormForward(gpu, { input, gain, epsilon: 0 });
    assert((await output.read()).every((x) => Math.abs(x - 3) < 1e-5));
    gpu.dispose();
  }
}, { unless: noSubgroups });

eachRuntime("openGpu() accepts true claims, and missing ones, without a note", async (runtime) => {
  const cases: readonly [number | undefined, number | undefined, number, number][] = [
    [truth, truth, truth, truth],
    [truth / 2, 2 * truth, truth / 2, 2 * truth],
    [undefined, undefined, Math.min(4, truth), 128],
  ];
  for (const [claimedMinimum, claimedMaximum, minimum, maximum] of cases) {
    const [gpu, lines] = await noted(async () =>
      await openDevice(await find(runtime, claimingSizes(claimedMinimum, claimedMaximum)))
    );
    assertEquals([gpu.info.notes, lines], [undefined, []]);
    assertEquals(gpu.info.subgroupSize, { minimum, maximum });
    gpu.dispose();
  }
}, { unless: noSubgroups });

/** Examines an adapter's claims with shaders that `break_` has changed. */
async function examine(runtime: Runtime, break_: (sources: ClaimSources) => Partial<ClaimSources>) {
  using gpu = await openGpu({ runtime, tuning: false });
  const sources = { ...claimSources, ...break_(claimSources) };
  assert(Object.entries(sources).some(([name, text]) => claimSources[name as "half"] !== text));
  return await examineClaims(gpu.device, await find(runtime), sources);
}

// Replacements in the self-test's shader for subgroups, [right, wrong]. With any one of them, a
// sound adapter gives the results of a faulty one.
const wrongOperations = [
  ["subgroupAdd(lane)", "subgroupAdd(lane + 1u)"],
  ["subgroupAdd(1u) ==", "subgroupAdd(2u) =="],
  ["subgroupExclusiveAdd(1u)", "subgroupExclusiveAdd(2u)"],
  ["place == own", "place + 1u == own"],
  ["subgroupShuffleXor(lane, distance)", "subgroupShuffleXor(lane, 1u)"],
  ["subgroupShuffle(lane, next)", "subgroupShuffle(lane, own)"],
  ["subgroupBroadcast(lane, 0u)", "subgroupBroadcast(lane, 1u)"],
  ["subgroupMax(lane)", "subgroupMin(lane)"],
  ["subgroupAny(own == count)", "subgroupAny(own == 0u)"],
] as const;
eachRuntime(
  "openGpu() finds each subgroup operation that computes wrong results",
  async (runtime) => {
    for (const [right, wrong] of wrongOperations) {
      const { features, notes, faults, subgroupSize } = await examine(runtime, ({ subgroup }) => {
        assert(subgroup.includes(right), right);
        return { subgroup: subgroup.replaceAll(right, wrong) };
      });
      assertEquals(
        notes,
        ["subgroup operations miscompute: the feature subgroups is not used"],
        wrong,
      );
      assertEquals([faults, subgroupSize, features.includes("subgroups")], [[], undefined, false]);
    }
  },
  { unless: noSubgroups },
);

eachRuntime("openGpu() does not use f16 that loses digits or does not compile", async (runtime) => {
  for (
    const [right, wrong] of [
      ["f32(halves[lane])", "f32(halves[lane]) * 1.002"],
      ["f32(halves[lane])", "f32(halves[lane ^ 1u])"],
      ["halves[63u - lane] =", "halves[63u - lane] := "],
    ] as const
  ) {
    const { features, notes, faults } = await examine(runtime, ({ half }) => {
      assert(half.includes(right));
      return { half: half.replaceAll(right, wrong) };
    });
    assertEquals(
      notes,
      ["numbers stored in f16 are lost: the feature shader-f16 is not used"],
      wrong,
    );
    assertEquals([faults, features.includes("shader-f16")], [[], false]);
  }
}, { unless: noHalf });

eachRuntime("openGpu() finds workgroup memory that loses numbers", async (runtime) => {
  const { faults, notes } = await examine(runtime, ({ workgroup }) => ({
    workgroup: workgroup.replace("words[i] = i *", "words[i / 2u] = i *"),
  }));
  assertEquals(notes, []);
  assert(/^it claims workgroups of \d+ invocations with \d+ bytes, and loses/.test(faults[0]!));
});

eachRuntime(
  "openGpu() omits features and limits that an adapter offers but refuses, with a note",
  async (runtime) => {
    const offering = ({ features }: GPUAdapter): Members => ({
      features: new Set([...features, "shader-f16", "subgroups", "timestamp-query"]),
      requestDevice: () => Promise.reject(new TypeError("nothing is granted")),
    });
    await assertRejects(
      async () => await openDevice(await find(runtime, offering)),
      TypeError,
      "nothing is granted",
    );
    const [gpu, lines] = await noted(async () =>
      await openDevice(
        await find(runtime, (adapter) => ({
          limits: forge(adapter.limits, { maxComputeWorkgroupStorageSize: 2 ** 30 }),
          features: new Set(["timestamp-query"]),
          requestDevice: (descriptor: GPUDeviceDescriptor) => {
            const wanted = [...descriptor.requiredFeatures ?? []] as string[];
            const { maxComputeWorkgroupStorageSize = 0 } = descriptor.requiredLimits ?? {};
            return wanted.length > 0 || maxComputeWorkgroupStorageSize > 2 ** 20
              ? Promise.reject(new TypeError("too much"))
              : adapter.requestDevice(descriptor);
          },
        })),
      )
    );
    assertEquals(gpu.info.notes, [
      "it offers the feature timestamp-query and refuses it",
      "it refuses its own limits: those of WebGPU are used",
    ]);
    assertEquals(lines.length, 2);
    assert(!gpu.info.features.includes("timestamp-query"));
    const { output } = rmsNormForward(gpu, {
      input: gpu.tensor([3, 4], [1, 2]),
      gain: gpu.tensor([1, 1], [2]),
    });
    assert(Math.abs((await output.read())[0]! - 3 / Math.sqrt(12.5)) < 1e-5);
    gpu.dispose();
  },
  {
    unless: software
      ? undefined
      : "this machine has a GPU, whose drivers may grant one device only",
  },
);

eachRuntime("openGpu() refuses a faulty adapter by name", async (runtime) => {
  const found = await find(runtime, (adapter) => ({
    info: forge(adapter.info, { description: "Forged 9000" }),
    requestDevice: async (descriptor: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(descriptor);
      return forge(device, {
        createShaderModule: ({ code }: GPUShaderModuleDescriptor) =>
          device.createShaderModule({ code: code.replace("words[i] = i *", "words[0] = i *") }),
      });
    },
  }));
  const error = await assertRejects(() => openDevice(found), GpuError, "refused Forged 9000");
  assert(error.message.includes("and loses numbers"), error.message);
});
