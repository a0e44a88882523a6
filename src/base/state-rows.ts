/**
 * States with a table of moves, for objects that change their state several times per transaction: looking up each state by its name would
 * take as long as the change itself.
 */

/** One of at most 31 states. */
export interface StateRow<Name extends string> {
  readonly name: Name
  /** One bit, which no other state has. */
  readonly bit: number
  /** The bits of the states that may follow this one. */
  readonly next: number
}

export type StateRows<Name extends string> = Readonly<Record<Name, StateRow<Name>>>

export function stateRows<Name extends string>(moves: Readonly<Record<Name, readonly Name[]>>): StateRows<Name> {
  const names = Object.keys(moves) as Name[]
  const bitOf = (name: Name) => 1 << names.indexOf(name)
  const row = (name: Name): StateRow<Name> => ({
    name,
    bit: bitOf(name),
    next: moves[name].reduce((bits, next) => bits | bitOf(next), 0),
  })
  return Object.fromEntries(names.map((name) => [name, row(name)])) as Record<Name, StateRow<Name>>
}

/** Whether the table contains this move. */
export function mayFollow<Name extends string>(from: StateRow<Name>, next: StateRow<Name>): boolean {
  return (from.next & next.bit) !== 0
}
