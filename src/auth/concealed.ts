/** A base class for objects that hold secrets: in a log, an inspection or JSON, only the name of their class shows. */

export abstract class Concealed {
  toString(): string {
    return `[${this.constructor.name}]`
  }

  toJSON(): string {
    return this.toString()
  }

  /** https://nodejs.org/api/util.html#utilinspectcustom */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}
