/** The limit on the size of the page's scripts. */

/**
 * The most bytes that all scripts of the page may have together. The scripts have about 420,000.
 * Observable Plot, which the page must not include, would add 250,000; a small kernel adds about
 * 4,000.
 */
export const WEIGHT = 550_000;
