/**
 * What the console and signals can request, from one process or from several. A call can be written as plain data, so that it can be passed on
 * to each process.
 */

/** `wait_for_clients` ends when the last client has left, `wait_for_servers` when the last lease is over. */
export type ShutdownMode = 'wait_for_clients' | 'wait_for_servers' | 'at_once'

/**
 * A call is done when its promise resolves. Some calls wait for clients or servers to finish first. If a call cannot be carried out, it rejects
 * with a `PoolerError` that says why. If no database is named, all are meant.
 */
export interface Control {
  /** Reads the settings and the users again. If there is any error in them, it is logged and nothing changes. */
  reload(): Promise<void>
  /** Gives one setting another value until the next reload. */
  set(key: string, value: string): Promise<void>
  /**
   * Gives clients no more servers. Done once the servers that clients held are closed: in session mode when the clients leave, otherwise after
   * their transactions. They and new clients wait.
   */
  pause(database: string | null): Promise<void>
  /**
   * Stops reading from clients and servers. Done once everything received before has been delivered, and those that do not take it have been
   * dropped.
   *
   * @param owner the id of the console session that asks for it
   */
  suspend(owner: number): Promise<void>
  /** The console session `owner` has ended: ends the suspension that it began. */
  endSuspension(owner: number): Promise<void>
  /** Ends a pause or a suspension. A pause of a single database and a pause of all are independent. */
  resume(database: string | null): Promise<void>
  /** Pauses, and drops all clients. Done once all servers are closed. */
  kill(database: string | null): Promise<void>
  /** Lets no new clients in to the database. */
  disable(database: string): Promise<void>
  enable(database: string): Promise<void>
  /** Closes each server as it comes free. */
  reconnect(database: string | null): Promise<void>
  /** Done once all servers are closed that had to be closed when it began. */
  waitClose(database: string | null): Promise<void>
  /** Drops a client. Resolves with false if there is none with this id. */
  killClient(id: number): Promise<boolean>
  /** Replaces each worker. Done once the replacement has begun. */
  restartWorkers(): Promise<void>
  /** Done once it has begun. */
  shutdown(mode: ShutdownMode): Promise<void>
}

/** A call on its way to another process. */
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

/** Returns a control that passes each call on, and resolves with the answer. */
export function passedOn(pass: (call: ControlCall) => Promise<unknown>): Control {
  const calls = NAMES.map((name) => [name, (...args: unknown[]) => pass({ name, args } as unknown as ControlCall)])
  return Object.fromEntries(calls) as unknown as Control
}

export function callOn(control: Control, { name, args }: ControlCall): Promise<unknown> {
  return (control[name] as (...args: unknown[]) => Promise<unknown>)(...args)
}
