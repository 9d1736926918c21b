/** Tests that loops and FMAs are found in the assembly of each supported compiler. */
import { fmaShare, loopsOf } from "../../../bench/compilers/assembly.ts";
import { assertEquals } from "../../support/assert/assert.ts";

const amd = `
BB0:
  v_fma_f32 v9, v1, v2, v3  ; outside of every loop
BB1:
  s_add_u32 s0, s0, 1       ; of the outer loop
BB2:
  ds_read_b128 v[0:3], v8
  buffer_load_dwordx4 v[4:7], v9, s[0:3], 0
  v_fmac_f32_e32 v1, v2, v3
  v_pk_fma_f16 v1, v2, v3, v4
  v_dual_fmac_f32 v1, v2, v3 :: v_dual_mul_f32 v4, v5, v6
  v_mad_u32_u24 v1, v2, v3, v4
  s_cbranch_scc1 BB2
BB3:
  s_cbranch_scc0 BB1
  s_branch BB4
BB4:
  s_endpgm
`;

Deno.test("loopsOf() finds the loops of AMD's assembly, each without those within it", () => {
  assertEquals(loopsOf(amd, "amd"), [
    { instructions: 3, fma: 0, workgroupMemory: 0, memory: 0, depth: 1, innermost: false },
    { instructions: 7, fma: 4, workgroupMemory: 1, memory: 1, depth: 2, innermost: true },
  ]);
  assertEquals(fmaShare(loopsOf(amd, "amd")!), 4 / 7);
});

const nvidia = `
block 0 L1 [] -> {
      r4       = mov rZ            // delay=1
} -> [1]
block 1 L3 [0, 1] -> {
                 ld.shared.strong.cta.b128 r4..8 [r2]   // delay=1 rd:0
      r4       = ffma r1 r2 r4     // delay=4
@!p0  r5       = ffma r1 r2 r5     // delay=4
      r6       = imad r1 r2 r5     // delay=4
@p0              bra pT L3         // delay=1
} -> [1, 2]
`;

Deno.test("loopsOf() finds the loops of NVIDIA's assembly", () => {
  assertEquals(loopsOf(nvidia, "nvidia"), [
    { instructions: 5, fma: 2, workgroupMemory: 1, memory: 0, depth: 1, innermost: true },
  ]);
});

// The loop's last block, L9, jumps back to L3. But the code after the loop, L5, stands before L9.
const parted = `
block.u 0 L1 [] -> {
      r4       = mov rZ            // delay=1
} -> [1]
block.u 1 L3 [0, 4] -> {
      r4       = ffma r1 r2 r4     // delay=4
                 bra !up0 L9       // delay=1
} -> [2, 4]
block.u 2 L5 [1] -> {
      r5       = ffma r1 r2 r5     // delay=4
      r5       = ffma r1 r2 r5     // delay=4
                 exit              // delay=1
} -> []
block.u 4 L9 [1] -> {
                 ld.global.a64.b128 r4..8 [r2..4]  // delay=1 rd:0
                 bra pT L3         // delay=1
} -> [1]
`;

Deno.test("loopsOf() follows jumps, not the order of the text", () => {
  assertEquals(loopsOf(parted, "nvidia"), [
    { instructions: 4, fma: 1, workgroupMemory: 0, memory: 1, depth: 1, innermost: true },
  ]);
});

Deno.test("loopsOf() separates two consecutive loops from the loop around them", () => {
  const text = `
BB0:
  s_mov_b32 s0, 0
BB1:
  s_cbranch_scc1 BB5
BB2:
  v_fmac_f32_e32 v1, v2, v3
  s_cbranch_scc1 BB2
BB3:
  s_nop 0
  v_fmac_f32_e32 v1, v2, v3
  s_cbranch_scc0 BB3
BB4:
  s_branch BB1
BB5:
  s_endpgm
BB6: ; no jump leads here
  s_branch BB1
`;
  const memory = { workgroupMemory: 0, memory: 0 };
  assertEquals(loopsOf(text, "amd"), [
    { instructions: 2, fma: 0, ...memory, depth: 1, innermost: false },
    { instructions: 2, fma: 1, ...memory, depth: 2, innermost: true },
    { instructions: 3, fma: 1, ...memory, depth: 2, innermost: true },
  ]);
});

const intel = `
L10:
mad(8)          g10<1>F         g1<8,8,1>:f  g2<8,8,1>:f  g3<1,1,1>:f { align1 };
(+f0.0) mad(8)  g11<1>:f        g1<8,8,1>:f  g2<8,8,1>:f  g3<1,1,1>:f { align1 };
mad(8)          g12<1>:ud       g1<8,8,1>:ud g2<8,8,1>:ud g3<1,1,1>:ud { align1 };
(W) sync.nop(1) null:ud { $0.dst };
send(8)         g20  g21  slm MsgDesc: load { align1 };
while (8)       L10
L20:
`;

Deno.test("loopsOf() finds the loops of Intel's assembly", () => {
  assertEquals(loopsOf(intel.replaceAll(/while \(8\)\s+/g, "while (8) "), "intel"), [
    { instructions: 5, fma: 2, workgroupMemory: 1, memory: 0, depth: 1, innermost: true },
  ]);
});

Deno.test("loopsOf() returns undefined for compilers whose assembly it cannot read", () => {
  assertEquals(loopsOf(amd, "apple"), undefined);
  assertEquals(loopsOf(amd, "qualcomm"), undefined);
});

Deno.test("fmaShare() considers only loops with FMAs", () => {
  const loop = { workgroupMemory: 0, memory: 0, depth: 1 };
  assertEquals(fmaShare([]), undefined);
  const idle = { ...loop, instructions: 90, fma: 0, innermost: true };
  assertEquals(fmaShare([idle]), undefined);
  const outer = { ...loop, instructions: 90, fma: 5, innermost: false };
  const inner = { ...loop, instructions: 10, fma: 5, innermost: true };
  assertEquals(fmaShare([idle, outer, inner]), 0.5);
});
