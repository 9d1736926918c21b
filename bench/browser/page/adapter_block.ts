/** Describes the browser's GPU as text to paste into an issue. */
import type { OpenedAdapter } from "../../../src/measure/child/session.ts";
import type { ResultHost, ResultRuntime } from "../../../src/measure/result_file.ts";
import { formatDuration } from "../../../src/report/format.ts";
import { escapeTerminal } from "../../../src/escape.ts";

/** WebGPU's default values of the limits that this project raises. */
const usualLimits: Readonly<Record<string, number>> = {
  maxBufferSize: 268_435_456,
  maxStorageBufferBindingSize: 134_217_728,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16_384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupsPerDimension: 65_535,
};

/** The User-Agent Client Hints, by which newer browsers describe themselves. */
interface UserAgentData {
  readonly brands: readonly { readonly brand: string; readonly version: string }[];
  readonly platform: string;
}

function agentData(): UserAgentData | undefined {
  return (navigator as { userAgentData?: UserAgentData }).userAgentData;
}

export function describeBrowser(): ResultRuntime {
  const brand = agentData()?.brands.filter(({ brand }) => !/not.?a.?brand/i.test(brand)).at(-1);
  const { userAgent } = navigator;
  const named = /(Firefox|Version|Edg|Chrome)\/[\d.]+/.exec(userAgent)?.[0].replace(
    "Version",
    "Safari",
  );
  const version = brand === undefined ? named : `${brand.brand} ${brand.version}`;
  return {
    name: "browser",
    ...version === undefined ? {} : { version: version.replace("/", " ").slice(0, 100) },
    userAgent: userAgent.slice(0, 1000),
  };
}

export function describeBrowserHost(): ResultHost {
  const os = agentData()?.platform || navigator.platform;
  return {
    ...os ? { os: os.slice(0, 100) } : {},
    logicalProcessors: navigator.hardwareConcurrency,
  };
}

/** The version and commit that the build wrote into the page. */
export function describeBuild(): { readonly version: string; readonly commit: string | null } {
  return { version: readMeta("version") || "0.0.0", commit: readMeta("commit") || null };
}

/** The project's repository, to which users can offer results; empty if deno.json names none. */
export function projectRepository(): string {
  return readMeta("repository");
}

function readMeta(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="gradsink-${name}"]`)?.content ?? "";
}

/** The text to paste into an issue. */
export function adapterText({ info, timer, warnings }: OpenedAdapter): string {
  const { version, commit } = describeBuild();
  const { subgroupSize } = info;
  const beyond = Object.entries(usualLimits).flatMap(([name, usual]) => {
    const limit = info.limits[name];
    return limit === undefined || limit === usual ? [] : [`${name} ${limit} (usual ${usual})`];
  });
  const clock = timer.kind === "timestamp" ? "GPU timestamps" : "wall time";
  const lines: [string, string][] = [
    ["vendor", info.vendor],
    ["architecture", info.architecture],
    ["device", info.device],
    ["description", info.description],
    ["computes on", info.software ? "the CPU (a software adapter)" : "the GPU"],
    ["timer", `${clock}, in steps of ${formatDuration(timer.quantum)}`],
    ["features", info.features.join(", ") || "none"],
    [
      "subgroups",
      subgroupSize === undefined ? "none" : `${subgroupSize.minimum} to ${subgroupSize.maximum}`,
    ],
    ["limits", beyond.join(", ") || "the usual"],
    ["browser", describeBrowser().version ?? "unknown"],
    ["system", describeBrowserHost().os ?? "unknown"],
    ["gradsink", `${version}${commit === null ? "" : ` (${commit.slice(0, 10)})`}`],
    ...warnings.map((warning): [string, string] => ["warning", warning]),
  ];
  return lines.map(([name, text]) =>
    escapeTerminal(`${name.padEnd(13)} ${text.trim() || "unknown"}`)
  ).join("\n");
}
