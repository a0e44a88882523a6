/** How often the tables of a database have changed, as far as it was seen from here. */

let lastValue = 0

/** Whoever has to know when all know. */
export interface Announcer {
  /** Others are being told. What it returns is called when all of them know. */
  announce(): () => void
}

/** Calls back when all know. */
export type TellOthers = (known: () => void) => void

/**
 * Another number whenever the tables of one database have changed. Shared by all pools of that database; no two databases have the
 * same one, since a pool may go from one to the other.
 */
export class SchemaVersion {
  #value = ++lastValue
  readonly #tellOthers: TellOthers | null

  /** @param tellOthers other processes serve the same database */
  constructor(tellOthers: TellOthers | null = null) {
    this.#tellOthers = tellOthers
  }

  get value(): number {
    return this.#value
  }

  /** What was prepared before may be described wrongly by what is known of it: prepare it anew. */
  changed(announcer: Announcer | null = null): void {
    this.#value = ++lastValue
    this.#tellOthers?.(announcer === null ? () => {} : announcer.announce())
  }

  /** A version of its own, for a server on which tables have changed that nobody else can see. */
  fresh(): number {
    return ++lastValue
  }

  changedElsewhere(): void {
    this.#value = ++lastValue
  }
}
