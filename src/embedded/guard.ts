/** Runs a program that must not outlive us: a small shell between us and the program ends it when we are gone, and removes its directory. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Owner } from './owner.ts'

/**
 * The shell reads signal names from us, one per line, and passes them on. At the end of its input, which also comes when we are killed in
 * any way, it ends the program and removes the directory, unless it was told to keep it. It is the parent of the program and waits for it
 * only after the last signal, so that no signal ever reaches a process that was given the same number later.
 *
 * QUIT is PostgreSQL's immediate shutdown. A shell starts background programs with QUIT ignored, so TERM goes first, for a program that has
 * not set up its signal handlers yet.
 */
const GUARD = `
directory=$1
shift
"$@" </dev/null 2>&1 &
child=$!
exec >/dev/null 2>&1
cd /
while read -r word; do
  if [ "$word" = keep ]; then directory=; else kill -s "$word" "$child"; fi
done
kill -s TERM "$child"
kill -s QUIT "$child"
wait "$child"
status=$?
if [ -n "$directory" ]; then rm -rf "$directory" || { sleep 1; rm -rf "$directory"; }; fi
exit "$status"
`

/** How many lines of output are kept, to be shown when something fails. */
const MAX_LOG_LINES = 200

export interface GuardOptions {
  /** The directory in which the program runs, and which is removed afterwards. */
  readonly directory: string
  readonly owner: Owner | null
  readonly environment: NodeJS.ProcessEnv
  onLine?(line: string): void
  /** Called when the program has ended: whether the directory is still needed. After `release`, the answer has no effect. */
  isDirectoryNeeded(): boolean
}

export class Guarded {
  /** Resolves with the program's exit status when the program is gone, and also its directory unless that is still needed. */
  readonly ended: Promise<number>
  /** The last lines that the program wrote. */
  readonly log: string[] = []
  readonly #guard: ChildProcess

  constructor(command: readonly string[], options: GuardOptions) {
    this.#guard = spawn('/bin/sh', ['-c', GUARD, 'pgweir-guard', options.directory, ...command], {
      cwd: options.directory,
      env: options.environment,
      stdio: ['pipe', 'pipe', 'ignore'],
      // A process session of its own, so that Ctrl-C in a terminal reaches only us, and we choose the order in which things stop.
      detached: true,
      ...options.owner?.ids,
    })
    const { stdin, stdout } = this.#guard
    // A write fails only if the guard is gone already, which `ended` reports.
    stdin?.on('error', () => {})
    if (stdout) {
      const lines = createInterface({ input: stdout })
      lines.on('line', (line) => {
        if (this.log.push(line) > MAX_LOG_LINES) this.log.shift()
        options.onLine?.(line)
      })
      // The guard holds no copy of the output, so the output ends when the program and all its children have ended.
      lines.on('close', () => {
        if (options.isDirectoryNeeded()) this.#say('keep')
        this.release()
      })
    }
    this.ended = new Promise((resolve, reject) => {
      this.#guard.once('error', (cause) => reject(new Error(`cannot run ${command[0]}: ${cause.message}`, { cause })))
      this.#guard.once('exit', (status) => resolve(status ?? -1))
    })
    // Callers that wait for `ended` learn of the failure. Without a caller, it must not end the process.
    this.ended.catch(() => {})
  }

  signal(name: 'INT' | 'TERM' | 'HUP'): void {
    this.#say(name)
  }

  /** Ends the program at once and has its directory removed, as our death would. */
  release(): void {
    this.#guard.stdin?.end()
  }

  #say(word: string): void {
    const { stdin } = this.#guard
    if (stdin?.writable) stdin.write(`${word}\n`)
  }
}
