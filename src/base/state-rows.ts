/** States with a table of moves for what changes its state several times per transaction: there, to look each up by its name would take as long as the change. */

/** One of at most 31 states. */
export interface StateRow<Name extends string> {
  readonly name: Name
  /** One bit, of its own. */
  readonly bit: number
  /** The bits of those that may follow it. */
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

/** Whether the table has this move. */
export function mayFollow<Name extends string>(from: StateRow<Name>, next: StateRow<Name>): boolean {
  return (from.next & next.bit) !== 0
}
