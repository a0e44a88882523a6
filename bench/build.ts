/** What a build of pgweir can be told: of this checkout, or of another one to compare with. */

import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TransportName } from './targets.ts'
import { WishError } from './wish-error.ts'

const run = promisify(execFile)

export interface Build {
  /** Where `bin/` and `dist/` lie. */
  readonly root: string
  /** The keys of its settings table. */
  readonly settings: ReadonlySet<string>
}

/** How pgweir is to run. */
export interface Manner {
  readonly transport: TransportName
  readonly workers: number
}

/** `dist-bench/bench/build.js` lies two below the top. */
export const OWN_ROOT = fileURLToPath(new URL('../../', import.meta.url))

export async function loadBuild(root: string): Promise<Build> {
  try {
    // Each setting has its flag, so this works with whatever an older build is made of.
    const { stdout } = await run(process.execPath, [join(resolve(root), 'bin', 'pgweir.js'), '--help'])
    const flags = [...stdout.matchAll(/^ {2}--([a-z0-9-]+) /gm)]
    return { root: resolve(root), settings: new Set(flags.map(([, flag]) => (flag as string).replaceAll('-', '_'))) }
  } catch (cause) {
    throw new WishError(`there is no build of pgweir in ${root}: npm run build makes one`, { cause })
  }
}

/** Null leaves a choice to us; throws a sentence where the build cannot do what is wished. */
export function chooseManner(
  wishes: { readonly transport: TransportName | null; readonly workers: number | null },
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
  return { transport, workers }
}

/** Lines for the ini file of a build: those that it knows. */
export function mannerSettings({ transport, workers }: Manner, known: ReadonlySet<string>): Record<string, string> {
  const wanted = { transport, workers: String(workers) }
  return Object.fromEntries(Object.entries(wanted).filter(([key]) => known.has(key)))
}
