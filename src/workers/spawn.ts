/** Starts a worker as a process of its own, with a channel for messages and the descriptors that it inherits. */

import { type ChildProcess, fork } from 'node:child_process'
import { KeptConnection } from '../net/kept-connection.ts'
import type { AcceptedSocket } from '../net/node-transport.ts'
import { isServerConnected } from './messages.ts'
import type { WorkerProcess, WorkerProcessListener } from './worker.ts'

/** The first descriptor in a worker that is one of its primary's: behind standard input, output, error and the messages. */
export const FIRST_INHERITED = 4

export interface SpawnOptions {
  /** The program that a worker runs. */
  readonly program: string
  /** Open descriptors that the worker gets, from FIRST_INHERITED on. */
  readonly descriptors: readonly number[]
}

/** What was said of the heap and the like goes for workers too; what is to be loaded first, or run, is for the program that was started. */
function isForEveryProcess(argument: string): boolean {
  return /^--(max-|stack-|v8-|cpu-prof|heap-prof|perf-|use-|no-)/.test(argument)
}

/** A worker process that can be given a connection which was accepted here. */
export class SpawnedWorker implements WorkerProcess {
  readonly pid: number
  readonly #child: ChildProcess
  /** Each waits until the process has taken the one before. */
  readonly #handingOver = new Set<AcceptedSocket>()

  constructor({ program, descriptors }: SpawnOptions, listener: WorkerProcessListener) {
    this.#child = fork(program, [], {
      execArgv: process.execArgv.filter(isForEveryProcess),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
      // Snapshots hold maps and buffers.
      serialization: 'advanced',
    })
    // Where the system has no room for one more process.
    this.pid = this.#child.pid ?? 0
    let hasEnded = false
    const end = (how: string) => {
      if (hasEnded) return
      hasEnded = true
      this.#closeNotTaken()
      listener.onExit(how)
    }
    this.#child.on('message', (message, handle) => {
      if (isServerConnected(message))
        listener.onConnected(message.connected, handle ? new KeptConnection(handle) : null)
      else listener.onMessage(message)
    })
    // Not 'exit', which may come before the last messages.
    this.#child.on('close', (code, signal) => end(signal ?? `exit code ${code}`))
    this.#child.on('error', (problem) => {
      if (this.#child.pid === undefined) end(problem.message)
    })
  }

  send(message: unknown): boolean {
    if (!this.#child.connected) return false
    // Its answer only says whether more should be sent for now. A process that is gone is noticed by its exit.
    this.#child.send(message as object, () => {})
    return true
  }

  /** Hands over a connection that nothing was read from yet. */
  handOver(message: unknown, socket: AcceptedSocket): void {
    if (!this.#child.connected) {
      socket.destroy()
      return
    }
    this.#handingOver.add(socket)
    this.#child.send(message as object, socket, {}, (problem) => {
      this.#handingOver.delete(socket)
      if (problem) socket.destroy()
    })
  }

  /** The clients of these would wait for ever. */
  #closeNotTaken(): void {
    for (const socket of this.#handingOver) socket.destroy()
    // Node keeps the one that was sent last until the process says that it has it, also when there is no process any more.
    const child = this.#child as unknown as {
      readonly _pendingMessage?: { readonly handle?: { close(): void } } | null
    }
    child._pendingMessage?.handle?.close()
  }

  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(signal)
  }
}
