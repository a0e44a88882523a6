/** Starts a worker as a process of its own, with a channel for messages and the descriptors that it inherits. */

import { type ChildProcess, fork } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import { KeptConnection } from '../net/kept-connection.ts'
import { type AcceptedSocket, handleOf } from '../net/node-transport.ts'
import { isServerConnected } from './messages.ts'
import type { WorkerProcess, WorkerProcessListener } from './worker.ts'

/** The first descriptor that a worker inherits from its primary, after standard input, output, error, and the messages. */
export const FIRST_INHERITED = 4

export interface SpawnOptions {
  /** The program that a worker runs. */
  readonly program: string
  /** Open descriptors that the worker inherits, from FIRST_INHERITED on. */
  readonly descriptors: readonly number[]
}

/**
 * Returns the options of node that apply to workers too: those about the heap, the stack, profiles and so on. Options that load or run a
 * program concern only the process that was started. An option's value may be an argument of its own.
 */
export function optionsForWorkers(options: readonly string[]): string[] {
  let isKept = false
  return options.filter((argument) => {
    if (argument.startsWith('-')) isKept = /^--(max-|stack-|v8-|cpu-prof|heap-prof|perf-|use-|no-)/.test(argument)
    return isKept
  })
}

/** A worker process that can be handed connections which the primary has accepted. */
export class SpawnedWorker implements WorkerProcess {
  readonly pid: number
  readonly #child: ChildProcess
  /** In the order in which they were sent. Each waits until the process has received the one before, or had no descriptor for it. */
  readonly #handingOver = new Set<AcceptedSocket>()

  constructor({ program, descriptors }: SpawnOptions, listener: WorkerProcessListener) {
    this.#child = fork(program, [], {
      execArgv: optionsForWorkers(process.execArgv),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...descriptors],
      // Messages contain maps and buffers.
      serialization: 'advanced',
    })
    // There is no pid if the system has no room for another process.
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
    // Node's internal acknowledgment of a handle. With a NACK the process could not receive it: the connection is lost, and its client notices when
    // it is closed.
    const child: EventEmitter = this.#child
    child.on('internalMessage', ({ cmd }: { readonly cmd?: string }) => {
      if (cmd === 'NODE_HANDLE_ACK' || cmd === 'NODE_HANDLE_NACK') this.#handedOver()
    })
    // Not 'exit', which may be emitted before the last messages.
    this.#child.on('close', (code, signal) => end(signal ?? `exit code ${code}`))
    this.#child.on('error', (problem) => {
      if (this.#child.pid === undefined) end(problem.message)
    })
  }

  send(message: unknown): boolean {
    if (!this.#child.connected) return false
    // The return value only says whether to send more for now. A process that is gone is noticed by its exit.
    this.#child.send(message as object, () => {})
    return true
  }

  /** Hands over a connection from which nothing has been read yet. */
  handOver(message: unknown, socket: AcceptedSocket): void {
    // The handle is sent, not the socket: node sends a socket again if the process could not receive it, and fails an assertion of its own if that
    // succeeds.
    const handle = handleOf(socket)
    if (!this.#child.connected || handle === null) {
      socket.destroy()
      return
    }
    this.#handingOver.add(socket)
    this.#child.send(message as object, handle as AcceptedSocket, {}, (problem) => {
      if (problem && this.#handingOver.delete(socket)) socket.destroy()
    })
  }

  /**
   * The process has the connection, or will never have it, so ours is closed. Not earlier, because some systems drop a connection that is closed
   * here while it is on its way.
   */
  #handedOver(): void {
    const [first] = this.#handingOver
    if (first === undefined) return
    this.#handingOver.delete(first)
    first.destroy()
  }

  /** Closes connections that never arrived. Their clients would wait forever. */
  #closeNotTaken(): void {
    for (const socket of this.#handingOver) socket.destroy()
    this.#handingOver.clear()
  }

  /** Without a process, node would send the signal to pid 0: our whole process group, including this process. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#child.pid !== undefined) this.#child.kill(signal)
  }
}
