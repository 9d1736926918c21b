/**
 * Counts the instructions in the loops of a compiler's assembly: AMD's (ACO), NVIDIA's (NAK) and
 * Intel's.
 */
import { naturalLoops } from "./assembly/loops.ts";
import type { CompilerFamily } from "./gpus.ts";

/** Counts of the instructions in a part of a program. */
export interface InstructionCounts {
  /** All instructions. */
  readonly instructions: number;
  /** Fused multiply-adds of floating-point numbers. AMD's packed instruction counts as two. */
  readonly fma: number;
  /** Accesses to workgroup memory. */
  readonly workgroupMemory: number;
  /** Accesses to other memory. */
  readonly memory: number;
}

/** A loop. The counts exclude the instructions of loops within this loop. */
export interface AssemblyLoop extends InstructionCounts {
  /** 1 for an outermost loop, 2 for a loop directly within one, and so on. */
  readonly depth: number;
  readonly innermost: boolean;
}

interface Dialect {
  readonly label: RegExp;
  /** A jump, with its target. */
  readonly branch: RegExp;
  /** An instruction after which the program cannot go on with the next block, such as an exit. */
  readonly end: RegExp;
  /** Lines that are not instructions. */
  readonly skipped: RegExp;
  readonly fma: (line: string) => number;
  readonly workgroupMemory: RegExp;
  readonly memory: RegExp;
}

const dialects: Readonly<Partial<Record<CompilerFamily, Dialect>>> = {
  amd: {
    label: /^(BB\d+):/,
    branch: /^s_c?branch\S*\s+(BB\d+)/,
    end: /^s_(branch|endpgm|setpc)/,
    skipped: /^$/,
    // On RDNA 3, :: separates two instructions on a line that run at the same time.
    fma: (line) =>
      line.split("::").map((part) => part.trim())
        .filter((part) =>
          /^v_(dual_)?(pk_)?(fma|mac|mad|dot2)/.test(part) && !/^\S*_[ui]\d/.test(part)
        )
        .reduce((sum, part) => sum + (part.includes("pk_") ? 2 : 1), 0),
    workgroupMemory: /^ds_/,
    memory: /^(buffer|global|flat|scratch|s_load|s_buffer_load)/,
  },
  nvidia: {
    label: /^block\S* \d+ (L\d+)/,
    branch: /\bbra\b.* (L\d+)/,
    end: /^(bra pT|exit)\b/, // other jumps depend on a predicate
    skipped: /^(\}|$)/,
    fma: (line) => /(^|\s|=\s*)(ffma|hfma2)\b/.test(line) ? 1 : 0,
    workgroupMemory: /\b(ld|st|atom)\w*\.shared/,
    memory: /\b(ldc|(ld|st|atom)\w*\.(global|local))/,
  },
  intel: {
    label: /^(L\d+):/,
    branch: /\bwhile \(\d+\)\s+(L\d+)/,
    end: /(?!)/, // matches nothing: after a jump, some of a subgroup's invocations may go on
    skipped: /^((\([^)]*\)\s*)?sync\.nop|$)/,
    fma: (line) => /^(\([^)]*\)\s*)?mad\b/.test(line) && /:h?f\b/.test(line) ? 1 : 0,
    workgroupMemory: /\bsend\w*.*slm|\bslm\b/,
    memory: /^(\([^)]*\)\s*)?send/,
  },
};

interface Block {
  readonly label: string;
  readonly lines: string[];
  readonly targets: string[];
  /** Whether the program can continue with the block that follows in the text. */
  goesOn: boolean;
}

function blocksOf(text: string, { label, branch, end, skipped }: Dialect): Block[] {
  const blocks: Block[] = [{ label: "", lines: [], targets: [], goesOn: true }];
  for (const raw of text.replaceAll("\0", "").split("\n")) {
    const line = raw.replace(/;.*$|\/\/.*$/, "").trim();
    const name = label.exec(line)?.[1];
    if (name !== undefined) {
      blocks.push({ label: name, lines: [], targets: [], goesOn: true });
      continue;
    }
    if (skipped.test(line)) continue;
    const block = blocks.at(-1)!;
    block.lines.push(raw.trim());
    const target = branch.exec(line)?.[1];
    if (target !== undefined) block.targets.push(target);
    if (end.test(line)) block.goesOn = false;
  }
  return blocks;
}

function count(lines: readonly string[], dialect: Dialect): InstructionCounts {
  let fma = 0;
  let workgroupMemory = 0;
  let memory = 0;
  for (const line of lines) {
    fma += dialect.fma(line);
    if (dialect.workgroupMemory.test(line)) workgroupMemory++;
    else if (dialect.memory.test(line)) memory++;
  }
  return { instructions: lines.length, fma, workgroupMemory, memory };
}

/**
 * The loops of a program.
 *
 * @param text the driver's assembly
 * @returns the loops in the order of their beginnings; undefined for a family whose assembly this
 *   module cannot read
 */
export function loopsOf(text: string, family: CompilerFamily): AssemblyLoop[] | undefined {
  const dialect = dialects[family];
  if (dialect === undefined) return undefined;
  const blocks = blocksOf(text, dialect);
  const numbers = new Map(blocks.map(({ label }, i) => [label, i]));
  const loops = naturalLoops(blocks.map(({ targets, goesOn }, i) => [
    ...goesOn && i + 1 < blocks.length ? [i + 1] : [],
    ...targets.flatMap((target) => numbers.get(target) ?? []),
  ]));
  return loops.map(({ head, body }) => {
    const inner = loops.filter((other) => other.head !== head && body.has(other.head));
    const own = [...body].filter((block) => !inner.some((each) => each.body.has(block)));
    return {
      ...count(own.flatMap((block) => blocks[block]!.lines), dialect),
      depth: loops.filter((other) => other.body.has(head)).length,
      innermost: inner.length === 0,
    };
  });
}

/**
 * The share of FMAs among the instructions of the innermost loops. Loops without FMAs do not count.
 *
 * @returns from 0 to 1; undefined if no innermost loop has an FMA
 */
export function fmaShare(loops: readonly AssemblyLoop[]): number | undefined {
  const computing = loops.filter(({ innermost, fma }) => innermost && fma > 0);
  const sum = (read: (loop: AssemblyLoop) => number) =>
    computing.reduce((n, loop) => n + read(loop), 0);
  return computing.length === 0
    ? undefined
    : sum(({ fma }) => fma) / sum(({ instructions }) => instructions);
}
