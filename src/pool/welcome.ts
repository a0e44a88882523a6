/** The parameter values that servers report after login. Once they are known, clients can log in without a server. */

/** The values of all servers that are opened in one and the same way, in any pool and any process. */
export class Welcome {
  #values: ReadonlyMap<string, string> | null = null
  readonly #tellOthers: (values: ReadonlyMap<string, string>) => void

  /** @param tellOthers notifies other processes, which open servers in the same way */
  constructor(tellOthers: (values: ReadonlyMap<string, string>) => void = () => {}) {
    this.#tellOthers = tellOthers
  }

  /** null before the first login. */
  get values(): ReadonlyMap<string, string> | null {
    return this.#values
  }

  /** A server of this process has logged in. Returns whether that has brought anything new. */
  learned(values: ReadonlyMap<string, string>): boolean {
    if (this.#values !== null && areEqual(this.#values, values)) return false
    this.#values = values
    this.#tellOthers(values)
    return true
  }

  learnedElsewhere(values: ReadonlyMap<string, string>): void {
    this.#values = values
  }
}

function areEqual(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  if (one.size !== other.size) return false
  for (const [name, value] of one) if (other.get(name) !== value) return false
  return true
}
