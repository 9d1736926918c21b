/**
 * A `Gpu` whose storage buffers are longer than requested. New buffers are full of NaN, which shows
 * if a kernel reads past a tensor's end or before a write. A check of the surplus finds writes past
 * the end. WebGPU hides such faults: it fills buffers with zeros and keeps accesses within them.
 */
import { Gpu } from "../../mod.ts";
import { assert } from "./assert/assert.ts";

/** The surplus per buffer, in bytes: 64 rows of 256 float32 numbers. */
const SURPLUS = 64 * 256 * 4;

// The NaN depends on the word and on the buffer. If all NaNs were equal, a kernel could read past
// one buffer's end and write past another's unnoticed, as arithmetic often keeps a NaN's bits.
function poison(buffer: number, word: number): number {
  return 0x7fc00000 | ((word + 104_729 * buffer) & 0x3fffff);
}

/** A guarded `Gpu`. Never dispose of it: that would destroy the shared device. */
export interface GuardedGpu {
  readonly gpu: Gpu;
  /**
   * Reads the surplus of every live buffer.
   *
   * @returns the number of words checked
   * @throws {Error} if a word was overwritten, or if there is no buffer
   */
  check(): Promise<number>;
}

/**
 * A guarded `Gpu` on the parent's device. It shares the choice of variants and the rewriting of
 * kernels.
 */
export function guardGpu(parent: Gpu): GuardedGpu {
  const { device } = parent;
  const sizes = new Map<GPUBuffer, { readonly size: number; readonly number: number }>();
  let buffers = 0;
  const createBuffer = (descriptor: GPUBufferDescriptor): GPUBuffer => {
    if ((descriptor.usage & GPUBufferUsage.STORAGE) === 0) return device.createBuffer(descriptor);
    const size = descriptor.size + SURPLUS;
    const buffer = device.createBuffer({ ...descriptor, size, mappedAtCreation: true });
    const number = ++buffers;
    const words = new Uint32Array(buffer.getMappedRange());
    for (let word = 0; word < words.length; word++) words[word] = poison(number, word);
    buffer.unmap();
    sizes.set(buffer, { size: descriptor.size, number });
    return buffer;
  };
  const guarded = new Proxy(device, {
    get(target, name) {
      if (name === "createBuffer") return createBuffer;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  const gpu = new Gpu(guarded, parent.info);
  gpu.pipelines.rewrite = (part) => parent.pipelines.rewrite(part);
  gpu.variants.get = (key) => parent.variants.get(key);
  const free = gpu.free.bind(gpu);
  gpu.free = (buffer) => {
    sizes.delete(buffer);
    free(buffer);
  };
  return {
    gpu,
    async check() {
      let looked = 0;
      for (const [buffer, { size, number }] of [...sizes]) {
        const surplus = new Uint32Array(await gpu.readBuffer(buffer), size);
        const written = surplus.findIndex((bits, i) => bits !== poison(number, size / 4 + i));
        assert(
          written < 0,
          `a buffer of ${size} bytes was written ${4 * written} bytes past its end`,
        );
        looked += surplus.length;
      }
      assert(looked > 0, "no buffer was guarded");
      return looked;
    },
  };
}
