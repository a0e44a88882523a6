/** The version of a database's schema: changes whenever tables are seen to change. */

let lastValue = 0

/** Waits until all processes know of a change. */
export interface Announcer {
  /** The other processes are being notified. Returns a function to call when all of them know. */
  announce(): () => void
}

/** Notifies the other processes of a change; `known` is called when all of them know. */
export type TellOthers = (known: () => void) => void

/**
 * A number that changes whenever the tables of one database have changed. All pools of that database share it. No two databases ever have
 * the same number, since a pool may move from one to the other.
 */
export class SchemaVersion {
  #value = ++lastValue
  readonly #tellOthers: TellOthers | null

  /** @param tellOthers null if no other process serves the same database */
  constructor(tellOthers: TellOthers | null = null) {
    this.#tellOthers = tellOthers
  }

  get value(): number {
    return this.#value
  }

  /** Tables have changed: what clients were told of statements that were prepared before may be wrong, so these must be prepared again. */
  changed(announcer: Announcer | null = null): void {
    this.#value = ++lastValue
    this.#tellOthers?.(announcer === null ? () => {} : announcer.announce())
  }

  /** Returns a new version for one server, on which tables have changed that no other server can see. */
  fresh(): number {
    return ++lastValue
  }

  changedElsewhere(): void {
    this.#value = ++lastValue
  }
}
