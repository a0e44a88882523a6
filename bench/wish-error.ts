/** Something was asked for that is not available. The message is a sentence for the user. */
export class WishError extends Error {}
