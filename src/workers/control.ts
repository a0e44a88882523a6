/** What the console and signals may have done, whether one process does it or many: by plain data, so that it can be passed on to each. */

/** `wait_for_clients` ends when the last client has left, `wait_for_servers` when the last lease is over. */
export type ShutdownMode = 'wait_for_clients' | 'wait_for_servers' | 'at_once'

/**
 * Each is done when its promise resolves, which for some is only once others have come to an end. Who asked is told by a `PoolerError`
 * why it cannot be done. Where no database is named, all are meant.
 */
export interface Control {
  /** Reads the settings and the users again. If anything is wrong with them, the log tells what, and nothing changes. */
  reload(): Promise<void>
  /** One setting has another value until the next reload. */
  set(key: string, value: string): Promise<void>
  /**
   * No server is given to a client any more. Done once those are closed that clients had: in session mode when they leave, else after
   * their transaction. They and new ones wait.
   */
  pause(database: string | null): Promise<void>
  /**
   * Nobody is read any more. Done once all that was said before is delivered, or those who do not take it are dropped.
   *
   * @param owner the id of the console that wants it
   */
  suspend(owner: number): Promise<void>
  /** That console has gone away: what it has suspended goes on. */
  endSuspension(owner: number): Promise<void>
  /** Ends a pause, or a suspension. A pause of a single database is another one than that of all. */
  resume(database: string | null): Promise<void>
  /** Pauses, and drops all clients. Done once all servers are closed. */
  kill(database: string | null): Promise<void>
  /** Takes no new clients. */
  disable(database: string): Promise<void>
  enable(database: string): Promise<void>
  /** Each server is closed as it comes free. */
  reconnect(database: string | null): Promise<void>
  /** Done once those servers are closed that were to be, when it began. */
  waitClose(database: string | null): Promise<void>
  /** Drops a client. False if there is none with this id. */
  killClient(id: number): Promise<boolean>
  /** Each worker is replaced; done when the last has gone. */
  restartWorkers(): Promise<void>
  /** Done once it has begun. */
  shutdown(mode: ShutdownMode): Promise<void>
}

/** One of them on its way to another process. */
export type ControlCall = {
  readonly [Name in keyof Control]: { readonly name: Name; readonly args: Parameters<Control[Name]> }
}[keyof Control]

const NAMES = [
  'reload',
  'set',
  'pause',
  'suspend',
  'endSuspension',
  'resume',
  'kill',
  'disable',
  'enable',
  'reconnect',
  'waitClose',
  'killClient',
  'restartWorkers',
  'shutdown',
] as const satisfies readonly (keyof Control)[]

/** A control that has everything done by somebody else, who answers with what the call resolves with. */
export function passedOn(pass: (call: ControlCall) => Promise<unknown>): Control {
  const calls = NAMES.map((name) => [name, (...args: unknown[]) => pass({ name, args } as unknown as ControlCall)])
  return Object.fromEntries(calls) as unknown as Control
}

export function callOn(control: Control, { name, args }: ControlCall): Promise<unknown> {
  return (control[name] as (...args: unknown[]) => Promise<unknown>)(...args)
}
