/** What a process is like at the moment, beyond its pools. Pure. */

export interface Vitals {
  /** Connections of clients, also those that log in and those on the console. */
  readonly connections: number
  readonly loggingIn: number
  /** By the setting that names the file: when the first of the certificates in it expires, in milliseconds since 1970. */
  readonly certificates: Readonly<Record<string, number>>
}

export function mergeVitals(parts: readonly Vitals[]): Vitals {
  const certificates: Record<string, number> = {}
  for (const [file, expiresAt] of parts.flatMap((part) => Object.entries(part.certificates)))
    certificates[file] = Math.min(certificates[file] ?? Infinity, expiresAt)
  return {
    connections: parts.reduce((sum, { connections }) => sum + connections, 0),
    loggingIn: parts.reduce((sum, { loggingIn }) => sum + loggingIn, 0),
    certificates,
  }
}
