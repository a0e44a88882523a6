/** Starts a worker as a process of its own, with a channel for messages and the descriptors that it inherits. */

import { type ChildProcess, fork } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import { KeptConnection } from '../net/kept-connection.ts'
import { type AcceptedSocket, handleOf } from '../net/node-transport.ts'
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
  /** In their order: each waits until the process has got the one before, or has had no descriptor for it. */
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
    // What node says to itself of a handle that was sent. Where it cannot be had, it is lost, and its client learns of that by the end.
    const child: EventEmitter = this.#child
    child.on('internalMessage', ({ cmd }: { readonly cmd?: string }) => {
      if (cmd === 'NODE_HANDLE_ACK' || cmd === 'NODE_HANDLE_NACK') this.#handedOver()
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
    // By its handle: a socket that could not be had is sent again by node, which breaks with its own assertions if it then can be.
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

  /** The process has it, or never will. Only now, since not every system goes on with a connection that is closed on its way. */
  #handedOver(): void {
    const [first] = this.#handingOver
    if (first === undefined) return
    this.#handingOver.delete(first)
    first.destroy()
  }

  /** The clients of these would wait for ever. */
  #closeNotTaken(): void {
    for (const socket of this.#handingOver) socket.destroy()
    this.#handingOver.clear()
  }

  /** Where there is no process, node would have the system kill number 0: that is all of our group, and us. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    if (this.#child.pid !== undefined) this.#child.kill(signal)
  }
}
