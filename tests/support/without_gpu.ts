/**
 * Removes the GPU before the tests (`deno test --preload`). Tests that need a GPU then fail at
 * once, so a check for missing permissions takes a fraction of the time.
 */
const { gpu } = navigator;
if (gpu !== undefined) gpu.requestAdapter = () => Promise.resolve(null);
