/**
 * For tests: fetches `owner/tiny` in a child process, with the permissions and limits that the test
 * gives it.
 */
import { fetchModel } from "../../../../src/model/pretrained/hub.ts";

try {
  const { fetched } = await fetchModel("owner/tiny", { delay: () => Promise.resolve() });
  console.log(fetched ? "fetched" : "there");
} catch (error) {
  console.log(`${(error as Error).name}: ${(error as Error).message}`);
}
