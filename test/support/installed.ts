/** Programs that nearly every Linux has, and other systems may not. */

import { spawnSync } from 'node:child_process'

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}
