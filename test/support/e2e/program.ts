/** Runs pgweir as operators do, in a separate process. `npm test` builds it before the tests run. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { type FileOptions, writeFiles } from './files.ts'
import { WORKERS } from './pgweir.ts'
import { RawClient } from './raw-client.ts'
import { until } from './until.ts'

export const PROGRAM_FILE = fileURLToPath(new URL('../../../bin/pgweir.js', import.meta.url))

export class Program {
  readonly #child: ChildProcess
  /** Everything that it has written. */
  stdout = ''
  stderr = ''
  #exitCode: number | null = null
  #signal: NodeJS.Signals | null = null

  /** @param descriptors listening sockets to pass, as a service manager does */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    descriptors: readonly number[] = [],
  ) {
    const activation =
      descriptors.length > 0 ? ['-c', `LISTEN_FDS=${descriptors.length} LISTEN_PID=$$ exec "$@"`, 'sh'] : null
    const command = [process.execPath, PROGRAM_FILE, ...args]
    const [program = '', ...rest] = activation === null ? command : ['sh', ...activation, ...command]
    this.#child = spawn(program, rest, {
      // The tests may run as root.
      env: { PATH: process.env['PATH'], PGWEIR_ALLOW_ROOT: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe', ...descriptors],
    })
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += chunk
    })
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += chunk
    })
    this.#child.on('close', (code, signal) => {
      this.#exitCode = code
      this.#signal = signal
    })
    onTestFinished(async () => {
      if (this.hasEnded) return
      this.#child.kill('SIGKILL')
      await until('the program is gone', () => this.hasEnded)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get hasEnded(): boolean {
    return this.#exitCode !== null || this.#signal !== null
  }

  /** Resolves with its exit code, or with the signal that ended it. */
  async ended(): Promise<number | string> {
    if (!this.hasEnded) await once(this.#child, 'close')
    return this.#exitCode ?? this.#signal ?? ''
  }

  /** Writes the text to its standard input and closes that. */
  type(text: string): void {
    this.#child.stdin?.end(text)
  }

  /** Stops reading its standard output. */
  stopReading(): void {
    this.#child.stdout?.destroy()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits until its output matches; returns what the expression's group has matched. */
  async says(expression: RegExp): Promise<string> {
    let found: RegExpExecArray | null = null
    await until(`it says ${expression}`, () => {
      found = expression.exec(this.stdout + this.stderr)
      if (!found && this.hasEnded)
        throw new Error(`it ended without saying ${expression}:\n${this.stdout}${this.stderr}`)
      return found !== null
    }).catch((cause) => {
      throw new Error(`${cause.message}; it has said:\n${this.stdout}${this.stderr}`, { cause })
    })
    return found?.[1] ?? ''
  }

  /** The sum of the peak memory of it and of each of its workers, in MiB. Only on Linux. */
  peakMemoryMiB(): number {
    const workers = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').split(' ').filter(Boolean)
    const peaks = [this.pid, ...workers].map((pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
    })
    return peaks.reduce((sum, peak) => sum + peak, 0)
  }
}

export interface RunningProgram {
  readonly program: Program
  readonly port: number
  readonly iniFile: string
  /** Connects and logs in a client. */
  raw(): Promise<RawClient>
}

/** Runs the pooler with an ini file until the end of the test, in as many processes as the other tests unless the settings say otherwise. */
export async function runProgram(
  options: FileOptions,
  env: Readonly<Record<string, string>> = {},
  descriptors: readonly number[] = [],
): Promise<RunningProgram> {
  const { iniFile } = await writeFiles({ ...options, settings: { workers: WORKERS, ...options.settings } })
  const program = new Program([iniFile], env, descriptors)
  const port = Number(await program.says(/listening on 127\.0\.0\.1:(\d+)/))
  const { user, database } = options.database
  return {
    program,
    port,
    iniFile,
    async raw() {
      const client = await RawClient.connect({ host: '127.0.0.1', port })
      onTestFinished(() => client.vanish())
      await client.logIn({ user, database })
      return client
    },
  }
}
