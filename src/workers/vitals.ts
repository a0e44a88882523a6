/** What a process is like at the moment, beyond its pools. Pure. */

export interface Vitals {
  /** Connections of clients, also those that log in and those on the console. */
  readonly connections: number
  readonly loggingIn: number
  /** When the certificate expires that clients are shown, in milliseconds since 1970; null without one. */
  readonly certificateExpiresAt: number | null
}

export function mergeVitals(parts: readonly Vitals[]): Vitals {
  const expiries = parts.flatMap(({ certificateExpiresAt }) => certificateExpiresAt ?? [])
  return {
    connections: parts.reduce((sum, { connections }) => sum + connections, 0),
    loggingIn: parts.reduce((sum, { loggingIn }) => sum + loggingIn, 0),
    certificateExpiresAt: expiries.length === 0 ? null : Math.min(...expiries),
  }
}
