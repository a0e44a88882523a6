/** The time as the whole process sees it: cached, so that reading it costs a field access, and moved by hand in tests. */

export interface Clock {
  /** Milliseconds since some fixed point, with fractions. Never goes back. As fresh as the last `refresh`. */
  readonly nowMs: number
  /** Reads the real time again. Called where work enters the process: by a chunk that was read, or a timer. */
  refresh(): void
  /** How far `nowMs` is behind the real time. */
  behindMs(): number
  /** The wall clock in milliseconds since 1970, for people to read. */
  wallMs(): number
}

// A local variable, because Node looks up its global anew for each use, which costs as much as the call.
const timer = performance

/** The moment at which time stands still; -1 while it runs. */
let stoppedMs = -1

/**
 * Until `startTime`, system clocks refresh to this moment: events that were waiting together have arrived at one time, whenever their turn
 * comes, and the time need not be read for each of them.
 */
export function stopTime(): void {
  stoppedMs = timer.now()
}

export function startTime(): void {
  stoppedMs = -1
}

export class SystemClock implements Clock {
  nowMs = timer.now()

  refresh(): void {
    this.nowMs = stoppedMs < 0 ? timer.now() : stoppedMs
  }

  behindMs(): number {
    return timer.now() - this.nowMs
  }

  wallMs(): number {
    return Date.now()
  }
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  nowMs = 1_000_000

  refresh(): void {}

  behindMs(): number {
    return 0
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs
  }

  advance(ms: number): void {
    this.nowMs += ms
  }
}
