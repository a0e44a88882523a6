/** Runs pgweir in a terminal, which `script` emulates. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { PROGRAM_FILE } from './program.ts'
import { until } from './until.ts'

export class Terminal {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  shown = ''

  constructor(args: readonly string[]) {
    const command = [process.execPath, PROGRAM_FILE, ...args].map((word) => `'${word}'`).join(' ')
    this.#child = spawn('script', ['-qec', `echo "pid $$"; exec ${command}`, '/dev/null'], {
      env: { PATH: process.env['PATH'], PGWEIR_ALLOW_ROOT: '1', SHELL: '/bin/sh', TERM: 'xterm' },
    })
    this.#child.stdout?.on('data', (chunk) => {
      this.shown += chunk
    })
    this.#closed = once(this.#child, 'close')
    onTestFinished(async () => {
      this.#child.kill('SIGKILL')
      await this.#closed
    })
  }

  async shows(text: string): Promise<void> {
    await until(JSON.stringify(text), () => this.shown.includes(text))
  }

  /** Resolves with the program's process ID. */
  async pid(): Promise<number> {
    await this.shows('pid ')
    return Number(/pid (\d+)/.exec(this.shown)?.[1])
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Resolves with its exit code. */
  async ended(): Promise<number | null> {
    await this.#closed
    return this.#child.exitCode
  }
}
