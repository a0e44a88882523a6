/** What a build of pgweir can be told: of this checkout, or of another one to compare with. */

import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { TransportName } from './targets.ts'
import { WishError } from './wish-error.ts'

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
  const file = join(resolve(root), 'dist', 'settings', 'schema.js')
  try {
    const { SETTINGS } = (await import(pathToFileURL(file).href)) as { readonly SETTINGS: object }
    return { root: resolve(root), settings: new Set(Object.keys(SETTINGS)) }
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
