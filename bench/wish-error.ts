/** Something was asked for that cannot be had: told in a sentence. */
export class WishError extends Error {}
