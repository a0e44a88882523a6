/** bench/figures.json: what transactions cost when somebody last saw fit to commit it. */

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

/** The commit that is checked out, as far as git knows. */
export function currentCommit(): string | null {
  try {
    return execFileSync('git', ['-C', OWN_ROOT, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    // No git, or no repository: a figure without its commit is worth something too.
    return null
  }
}
