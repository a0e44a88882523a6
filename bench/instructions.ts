/** Counts the instructions of a process with `perf stat`. Many virtual machines do not support this. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { familyOf } from './process-figures.ts'

const EVENT = 'instructions'

/** Returns whether perf is installed and permitted, and the machine can count. */
export function canCountInstructions(): boolean {
  const { stderr, status } = spawnSync('perf', ['stat', '-x,', '-e', EVENT, 'true'], { encoding: 'utf8' })
  return status === 0 && parseInstructions(stderr) !== null
}

/** Counts the instructions of a process and all its descendants while `work` runs. */
export async function countInstructionsDuring(pid: number, work: Promise<unknown>): Promise<number> {
  const args = ['stat', '-x,', '-e', EVENT, '-p', familyOf(pid).join(',')]
  const perf = spawn('perf', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  perf.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const ended = once(perf, 'close')
  try {
    await work
  } finally {
    // It prints the counts when it is interrupted.
    perf.kill('SIGINT')
    await ended
  }
  const instructions = parseInstructions(said)
  if (instructions === null) throw new Error(`perf counted nothing: ${said}`)
  return instructions
}

/** `1234567,,instructions:u,…`; null where it says `<not supported>` or `<not permitted>` instead. */
export function parseInstructions(text: string): number | null {
  const counts = [...text.matchAll(/^(\d+),[^,]*,(?:\w+\/)?instructions[/:\w]*,/gm)].map(([, count]) => Number(count))
  return counts.length === 0 ? null : counts.reduce((total, count) => total + count, 0)
}
