/** What a session does with its client's bytes once it is logged in: relays them to servers, or answers them as the console. */

export interface Handler {
  /**
   * Understands bytes from the client and returns where it stopped. If that is before `end`, it cannot go on for now: the session
   * keeps the rest, and `Session.goOn` brings it back.
   */
  read(buffer: Buffer, start: number, end: number): number
  /** The client has taken all that was written to it. */
  onDrained(): void
  /** The session ends: let go of whatever is held for it. If something went wrong within, that is `doubtful` and not used again. */
  end(state: 'sound' | 'doubtful'): void
  /** Whether a message of ours may be put in now: not in the midst of another one. */
  readonly canSpeak: boolean
  /** The client asked, by a connection of its own, to cancel what runs. `over` is called once that can hit nothing any more. */
  cancel(over: () => void): void
  /** When its last request began; 0 before the first. */
  readonly requestMs: number
  /** How many prepared statements the client has. */
  readonly preparedStatements: number
}
