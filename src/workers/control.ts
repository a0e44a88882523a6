/** What the console and signals may have done, whether one process does it or many: by plain data, so that it can be passed on to each. */

import { PoolerError } from '../problems.ts'

/** Each is done when its promise resolves. Who asked is told by a `PoolerError` why it cannot be done. */
export interface Control {
  /** Reads the settings and the users again. If anything is wrong with them, the log tells what, and nothing changes. */
  reload(): Promise<void>
  /** One setting has another value until the next reload. */
  set(key: string, value: string): Promise<void>
}

/** One of them on its way to another process. */
export type ControlCall = {
  readonly [Name in keyof Control]: { readonly name: Name; readonly args: Parameters<Control[Name]> }
}[keyof Control]

const NAMES = ['reload', 'set'] as const satisfies readonly (keyof Control)[]

/** A control that has everything done by somebody else. */
export function passedOn(pass: (call: ControlCall) => Promise<unknown>): Control {
  const calls = NAMES.map((name) => [
    name,
    async (...args: never[]) => {
      await pass({ name, args } as unknown as ControlCall)
    },
  ])
  return Object.fromEntries(calls) as unknown as Control
}

/** Of a fleet that cannot have these done by all its workers yet. */
export function notForSeveral(): Control {
  return passedOn(async ({ name }) => {
    throw new PoolerError('console-later', { command: `${name.toUpperCase()} with several workers` })
  })
}

export function callOn(control: Control, { name, args }: ControlCall): Promise<void> {
  return (control[name] as (...args: unknown[]) => Promise<void>)(...args)
}
