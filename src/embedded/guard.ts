/** Runs a program that must not outlive us: a small shell stands between, ends it when we are gone, and removes its directory. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Owner } from './owner.ts'

/**
 * The shell reads signal names from us, one a line, and passes them on. At the end of its input, which also comes when we are killed by
 * anything at all, it ends the program and removes the directory, unless it was told to keep it. It is the parent of the program and
 * waits for it only after the last signal, so that no signal ever goes to a process which was given the same number later.
 *
 * QUIT is PostgreSQL's immediate shutdown. A shell starts what runs beside it with QUIT ignored, so TERM goes first for a program that
 * has not come to setting up its signals yet.
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

/** Lines of output that are kept, to be shown when something fails. */
const MAX_LOG_LINES = 200

export interface GuardOptions {
  /** Where the program runs. */
  readonly directory: string
  readonly owner: Owner | null
  readonly environment: NodeJS.ProcessEnv
  onLine?(line: string): void
  /** Asked when the program has ended: is the directory still needed? Nobody is asked when it was let go of. */
  isDirectoryNeeded(): boolean
}

export class Guarded {
  /** Fulfilled with the program's exit status when it is gone, and its directory too unless that is still needed. */
  readonly ended: Promise<number>
  /** The last lines that the program wrote. */
  readonly log: string[] = []
  readonly #guard: ChildProcess

  constructor(command: readonly string[], options: GuardOptions) {
    this.#guard = spawn('/bin/sh', ['-c', GUARD, 'pgweir-guard', options.directory, ...command], {
      cwd: options.directory,
      env: options.environment,
      stdio: ['pipe', 'pipe', 'ignore'],
      // A session of its own, so that Ctrl-C in a terminal reaches only us, and we choose the order in which things stop.
      detached: true,
      ...options.owner?.ids,
    })
    const { stdin, stdout } = this.#guard
    // A word to a guard that is gone already says nothing new.
    stdin?.on('error', () => {})
    if (stdout) {
      const lines = createInterface({ input: stdout })
      lines.on('line', (line) => {
        if (this.log.push(line) > MAX_LOG_LINES) this.log.shift()
        options.onLine?.(line)
      })
      // The guard holds no copy of the output: its end is the end of the program and of all its children.
      lines.on('close', () => {
        if (options.isDirectoryNeeded()) this.#say('keep')
        this.release()
      })
    }
    this.ended = new Promise((resolve, reject) => {
      this.#guard.once('error', (cause) => reject(new Error(`cannot run ${command[0]}: ${cause.message}`, { cause })))
      this.#guard.once('exit', (status) => resolve(status ?? -1))
    })
    // Whoever waits for the end learns of the failure; nobody has to.
    this.ended.catch(() => {})
  }

  signal(name: 'INT' | 'TERM' | 'HUP'): void {
    this.#say(name)
  }

  /** Lets go, as our death would: the program is ended at once, and the directory removed. */
  release(): void {
    this.#guard.stdin?.end()
  }

  #say(word: string): void {
    const { stdin } = this.#guard
    if (stdin?.writable) stdin.write(`${word}\n`)
  }
}
