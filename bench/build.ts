/** Finds out which settings a build of pgweir knows: this checkout's, or another build's to compare with. */

import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TransportName } from './targets.ts'
import { WishError } from './wish-error.ts'

const run = promisify(execFile)

export interface Build {
  /** The directory that contains `bin/` and `dist/`. */
  readonly root: string
  /** The keys of its settings table. */
  readonly settings: ReadonlySet<string>
}

/** How pgweir is to run. */
export interface Manner {
  readonly transport: TransportName
  readonly workers: number
  /** False forbids io_uring to the transport epoll. */
  readonly usesIoUring: boolean
}

/** `dist-bench/bench/build.js` is two levels below the top. */
export const OWN_ROOT = fileURLToPath(new URL('../../', import.meta.url))

export async function loadBuild(root: string): Promise<Build> {
  try {
    // Every setting has a flag of its own, so this works with an older build, however it is organized.
    const { stdout } = await run(process.execPath, [join(resolve(root), 'bin', 'pgweir.js'), '--help'])
    const flags = [...stdout.matchAll(/^ {2}--([a-z0-9-]+) /gm)]
    return { root: resolve(root), settings: new Set(flags.map(([, flag]) => (flag as string).replaceAll('-', '_'))) }
  } catch (cause) {
    throw new WishError(`there is no build of pgweir in ${root}: npm run build makes one`, { cause })
  }
}

/** Returns how pgweir runs; null leaves the choice to this function. Throws a `WishError` if the build cannot do what is asked for. */
export function chooseManner(
  wishes: { readonly transport: TransportName | null; readonly workers: number | null; readonly usesIoUring: boolean },
  known: ReadonlySet<string>,
  platform: string,
): Manner {
  const best = known.has('transport') && platform === 'linux' ? 'epoll' : 'node'
  const transport = wishes.transport ?? best
  const workers = wishes.workers ?? 1
  if (transport === 'epoll' && !known.has('transport'))
    throw new WishError('this pgweir runs on the node transport only: it has no setting named transport')
  if (workers > 1 && !known.has('workers'))
    throw new WishError('this pgweir is one process only: it has no setting named workers')
  return { transport, workers, usesIoUring: wishes.usesIoUring }
}

/** Returns lines for the ini file of a build: only settings that it knows. */
export function mannerSettings(manner: Manner, known: ReadonlySet<string>): Record<string, string> {
  const { transport, workers, usesIoUring } = manner
  const wanted = { transport, workers: String(workers), ...(!usesIoUring && { io_uring: 'off' }) }
  return Object.fromEntries(Object.entries(wanted).filter(([key]) => known.has(key)))
}
