/** What a session does with its client's bytes once it is logged in: relays them to servers, or answers them as the console. */

export interface Handler {
  /**
   * Handles bytes from the client and returns where it stopped. If that is before `end`, it cannot continue for now: the session keeps
   * the rest, and `Session.goOn` has it read again.
   */
  read(buffer: Buffer, start: number, end: number): number
  /** The client has taken all that was written to it. */
  onDrained(): void
  /** The session ends: releases whatever is held for it. After a mistake of ours the state is `doubtful`, and nothing of it is used again. */
  end(state: 'sound' | 'doubtful'): void
  /** Whether a message of ours may be inserted now. It must not be in the middle of another message. */
  readonly canSpeak: boolean
  /** The client has asked, on a separate connection, to cancel what runs. Calls `over` once the cancel can hit nothing any more. */
  cancel(over: () => void): void
  /** When its last request began; 0 before the first. */
  readonly requestMs: number
  /** How many prepared statements the client has. */
  readonly preparedStatements: number
}
