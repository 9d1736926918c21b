/**
 * Loaded before the tests (`deno test --preload`), it leaves them no GPU: tests that need one end at once, and what asks for
 * permissions shows in a fraction of the time.
 */
const { gpu } = navigator;
if (gpu !== undefined) gpu.requestAdapter = () => Promise.resolve(null);
