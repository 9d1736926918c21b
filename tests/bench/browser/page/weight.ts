/** The limit on the size of the page's scripts. */

/**
 * The most that all scripts of the page may weigh together, in bytes. They weigh about 420,000;
 * Observable Plot, which the page must not take along, would add 250,000, and a small kernel adds
 * about 4,000.
 */
export const WEIGHT = 550_000;
