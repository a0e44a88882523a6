/** Finds out which programs are installed: nearly every Linux has them, other systems may not. */

import { spawnSync } from 'node:child_process'

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}
