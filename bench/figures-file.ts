/** bench/figures.json: what transactions cost when the file was last committed. */

import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OWN_ROOT } from './build.ts'
import type { SavedFigures } from './guard.ts'

export const FIGURES_FILE = join(OWN_ROOT, 'bench', 'figures.json')

export async function readFigures(): Promise<SavedFigures> {
  try {
    return JSON.parse(await readFile(FIGURES_FILE, 'utf8')) as SavedFigures
  } catch (problem) {
    if ((problem as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw problem
  }
}

export async function writeFigures(figures: SavedFigures): Promise<void> {
  await writeFile(FIGURES_FILE, `${JSON.stringify(figures, null, 2)}\n`)
}

/** Returns the commit that is checked out; null if git does not know. */
export function currentCommit(): string | null {
  try {
    return execFileSync('git', ['-C', OWN_ROOT, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    // No git, or no repository: figures without a commit are still useful.
    return null
  }
}
