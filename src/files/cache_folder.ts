/**
 * Finds cache folders: the user's, this project's folder in it, and the folder of Deno's npm
 * packages.
 */

/** The environment variables that determine the folders. */
export interface CacheVariables {
  readonly HOME?: string | undefined;
  readonly XDG_CACHE_HOME?: string | undefined;
  readonly DENO_DIR?: string | undefined;
}

/**
 * The user's cache folder by the XDG Base Directory Specification. A variable with a relative path
 * is ignored.
 *
 * @returns `$XDG_CACHE_HOME`, else `$HOME/.cache`
 * @throws {Error} if neither variable holds an absolute path
 */
export function userCacheFolder({ HOME, XDG_CACHE_HOME }: CacheVariables): string {
  if (XDG_CACHE_HOME?.startsWith("/")) return withoutTrailingSlash(XDG_CACHE_HOME);
  if (HOME?.startsWith("/")) return `${withoutTrailingSlash(HOME)}/.cache`;
  throw new Error(
    "find no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path, set one of them",
  );
}

/**
 * This project's folder in the user's cache.
 *
 * @returns for example `/home/me/.cache/gradsink`
 * @throws {Error} if neither XDG_CACHE_HOME nor HOME holds an absolute path
 */
export function projectCacheFolder(variables: CacheVariables): string {
  return `${userCacheFolder(variables)}/gradsink`;
}

/**
 * The folder where Deno keeps npm packages on Linux.
 *
 * @returns for example `/home/me/.cache/deno/npm`
 * @throws {Error} if DENO_DIR is not set and {@linkcode userCacheFolder} throws
 */
export function packageCacheFolder(variables: CacheVariables): string {
  const { DENO_DIR } = variables;
  if (DENO_DIR === undefined || DENO_DIR === "") return `${userCacheFolder(variables)}/deno/npm`;
  return `${withoutTrailingSlash(DENO_DIR)}/npm`;
}

function withoutTrailingSlash(path: string): string {
  return path.replace(/\/+$/, "");
}
