/** Reads profiles of `node --cpu-prof`: which functions used the processor themselves, and for how long. Pure. */

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

export interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
}

export interface SelfTime {
  readonly name: string
  /** File and line; empty for what is not JavaScript. */
  readonly place: string
  readonly ms: number
  /** The share of all time that was not idle. */
  readonly share: number
}

/** Returns the lines of the file at a URL; null if it cannot be read. */
export type ReadLines = (url: string) => readonly string[] | null

/** The longest first. */
export function selfTimes({ nodes, samples, timeDeltas }: CpuProfile, readLines: ReadLines): SelfTime[] {
  const functions = new Map(nodes.map(({ id, callFrame }) => [id, describe(callFrame, readLines)]))
  const times = new Map<string, { name: string; place: string; ms: number }>()
  let busyMs = 0
  samples.forEach((id, index) => {
    const { name, place } = functions.get(id) ?? { name: '(unknown)', place: '' }
    if (name === '(idle)') return
    const ms = (timeDeltas[index] ?? 0) / 1000
    busyMs += ms
    const key = `${name} ${place}`
    const entry = times.get(key) ?? { name, place, ms: 0 }
    entry.ms += ms
    times.set(key, entry)
  })
  return [...times.values()]
    .map((entry) => ({ ...entry, share: entry.ms / busyMs }))
    .sort((one, other) => other.ms - one.ms)
}

function describe(
  { functionName, url, lineNumber }: ProfileNode['callFrame'],
  readLines: ReadLines,
): { name: string; place: string } {
  return { name: functionName || '(anonymous)', place: url === '' ? '' : placeOf(url, lineNumber, readLines) }
}

/** In a build, many modules share a file, each below a comment that names it. The line number is counted from that comment. */
function placeOf(url: string, lineNumber: number, readLines: ReadLines): string {
  const lines = url.includes('/dist/') ? readLines(url) : null
  if (lines !== null)
    for (let above = lineNumber; above >= 0; above--) {
      const module = /^\/\/ src\/(.+)\.ts$/.exec(lines[above] ?? '')
      if (module !== null) return `${module[1]}:${lineNumber - above}`
    }
  const file = /(?:\/dist\/|^)((?:[^/]+\/)*[^/]+)$/.exec(url)?.[1] ?? url
  return `${file}:${lineNumber + 1}`
}
