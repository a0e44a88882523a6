/** The present state of a process, apart from its pools. Pure. */

export interface Vitals {
  /** Connections of clients, including those that are logging in and those on the console. */
  readonly connections: number
  readonly loggingIn: number
  /** When the first of the certificates in a file expires, in milliseconds since 1970, by the setting that names the file. */
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
