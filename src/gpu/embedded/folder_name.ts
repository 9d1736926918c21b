/** The name of the embedded driver's folder. */
import { embeddedPackage } from "./archive.ts";

/**
 * The folder's name, such as `swiftshader-133.0.0-8f60f16ff5f6`, changes with the package's version
 * and the archive's contents.
 */
export function driverFolderName(): string {
  const { specifier, archiveSha256 } = embeddedPackage;
  const version = specifier.slice(specifier.lastIndexOf("@") + 1);
  return `swiftshader-${version}-${archiveSha256.slice(0, 12)}`;
}
